use proptest::prelude::*;
use serde_json::{Value, json};

use super::{json::Json, schema::Schema, *};
use crate::{
    body::{Processor, fill_body},
    http::{fill_head, read_head},
};

fn api(paths: &Value) -> Api {
    let spec = json!({
        "endpoints": [{"host": "*", "basePath": "/api/*"}],
        "paths": paths, "effect": "prevent", "fallbackEffect": "alert", "queryParamFallbackEffect": "ban",
    });
    Api::compile(&serde_json::from_value(spec).unwrap()).unwrap()
}

fn one(method: &str, parameters: &Value) -> Api {
    api(&json!([{"path": "/things/{id}", "methods": [{"method": method, "parameters": parameters}]}]))
}

fn request(line: &str, fields: &str) -> Request {
    let text = format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let (head, _) = read_head(text.as_bytes()).unwrap().unwrap();
    let mut request = Request::new();
    fill_head(&mut request, &head);
    request
}

/// What is wrong with a head, in words.
fn head(api: &Api, line: &str, fields: &str) -> Vec<String> {
    api.judge_head(&request(line, fields)).1.into_iter().map(|violation| violation.message).collect()
}

/// What is wrong with a body, in words.
fn body(api: &Api, kind: &str, body: &[u8]) -> Option<String> {
    let mut request = request("POST /api/things/1", &format!("Content-Type: {kind}\r\n"));
    let processor = Processor::of_content_type(kind.as_bytes());
    fill_body(&mut request, body, processor, 32, false);
    let (operation, _) = api.judge_head(&request);
    api.judge_body(operation.unwrap(), &request, body).map(|violation| violation.message)
}

#[test]
fn what_is_not_part_of_the_interface_has_its_own_effects() {
    let api = one("GET", &json!([{"name": "id", "location": "path", "type": "integer", "required": true}]));
    let found = |line: &str| {
        let request = request(line, "");
        let (operation, violations) = api.judge_head(&request);
        let kinds: Vec<_> = violations.iter().map(|violation| (violation.kind, violation.effect)).collect();
        (operation.map(|operation| operation.method().to_owned()), kinds)
    };

    assert_eq!(found("GET /api/things/7"), (Some("GET".to_owned()), vec![]));
    assert_eq!(found("GET /api/other"), (None, vec![(ViolationKind::UnknownPath, Effect::Alert)]));
    assert_eq!(found("GET /things/7").1, [(ViolationKind::UnknownPath, Effect::Alert)]);
    assert_eq!(found("PUT /api/things/7").1, [(ViolationKind::UnknownMethod, Effect::Alert)]);
    assert_eq!(found("get /api/things/7").1, [(ViolationKind::UnknownMethod, Effect::Alert)]);
    assert_eq!(found("GET /api/things/x").1, [(ViolationKind::Parameter, Effect::Prevent)]);
    assert_eq!(found("GET /api/things/7?admin=1").1, [(ViolationKind::UnknownQueryParameter, Effect::Ban)]);
}

#[test]
fn effects_that_are_off_find_nothing() {
    let spec = json!({"paths": [{"path": "/a", "methods": [{"method": "POST", "parameters": [
        {"name": "n", "location": "query", "required": true}, {"name": "b", "location": "body", "type": "object"}]}]}]});
    let api = Api::compile(&serde_json::from_value(spec).unwrap()).unwrap();

    assert!(head(&api, "POST /b", "").is_empty() && head(&api, "POST /a?x=1", "").is_empty());
    let request = request("POST /a", "");
    assert!(!api.wants_body(api.judge_head(&request).0.unwrap()));
}

#[test]
fn values_are_of_their_type_and_within_their_range() {
    let api = one(
        "GET",
        &json!([
            {"name": "n", "location": "query", "type": "integer", "min": 1, "max": 10},
            {"name": "f", "location": "query", "type": "number"},
            {"name": "b", "location": "query", "type": "boolean"},
            {"name": "e", "location": "query", "allowEmptyValue": true},
            {"name": "s", "location": "query", "schema": {"enum": ["asc", "desc"]}},
            {"name": "X-Id", "location": "header", "schema": {"format": "uuid"}},
            {"name": "sid", "location": "cookie", "type": "string", "required": true},
        ]),
    );
    let wrong = |query: &str| head(&api, &format!("GET /api/things/1?{query}"), "Cookie: sid=a\r\n").join("; ");

    for good in ["n=1", "n=10", "f=-1.5e3", "b=true", "e=", "s=asc", "n=2&f=1&b=false"] {
        assert_eq!(wrong(good), "", "{good}");
    }
    for (query, message) in [
        ("n=0", "the query parameter `n` is less than 1"),
        ("n=11", "the query parameter `n` is more than 10"),
        ("n=1%20OR%201=1", "the query parameter `n` is no integer"),
        ("n=99999999999999999999999999999999999999999999", "the query parameter `n` is more than 10"),
        ("n=1&n=2", "the query parameter `n` comes 2 times"),
        ("n=", "the query parameter `n` is empty"),
        ("f=inf", "the query parameter `f` is no number"),
        ("b=1", "the query parameter `b` is no boolean"),
        ("s=up", "the query parameter `s` it is none of the values that are allowed"),
    ] {
        assert_eq!(wrong(query), message, "{query}");
    }
    assert_eq!(head(&api, "GET /api/things/1", ""), ["the cookie parameter `sid` is missing"]);
    assert_eq!(head(&api, "GET /api/things/1", "Cookie: sid=a\r\nx-id: 7\r\n").len(), 1);
}

#[test]
fn arrays_are_written_in_many_styles() {
    let array = |location: &str, style: &str, explode: bool| {
        let name = if location == "path" { "id" } else { "v" };
        one(
            "GET",
            &json!([{"name": name, "location": location, "type": "integer", "array": true, "style": style, "explode": explode}]),
        )
    };
    for (location, style, explode, line) in [
        ("query", "form", true, "1?v=1&v=2"),
        ("query", "form", false, "1?v=1,2"),
        ("query", "spaceDelimited", false, "1?v=1%202"),
        ("query", "pipeDelimited", false, "1?v=1|2"),
        ("query", "tabDelimited", false, "1?v=1%092"),
        ("path", "simple", false, "1,2"),
        ("path", "label", false, ".1,2"),
        ("path", "label", true, ".1.2"),
        ("path", "matrix", false, ";id=1,2"),
        ("path", "matrix", true, ";id=1;id=2"),
    ] {
        let api = array(location, style, explode);
        assert_eq!(head(&api, &format!("GET /api/things/{line}"), ""), [""; 0], "{location} {style} {line}");
        let bad = line.replace('2', "x");
        assert_eq!(head(&api, &format!("GET /api/things/{bad}"), "").len(), 1, "{location} {style} {bad}");
    }
}

#[test]
fn objects_in_queries_bring_names_of_their_own() {
    let api = one(
        "GET",
        &json!([{"name": "f", "location": "query", "type": "object", "style": "deepObject", "explode": true}]),
    );
    assert!(head(&api, "GET /api/things/1?f[a]=1&f[b]=2", "").is_empty());
    assert_eq!(head(&api, "GET /api/things/1?g[a]=1", "").len(), 1);

    let api =
        one("GET", &json!([{"name": "f", "location": "query", "type": "object", "style": "form", "explode": true}]));
    assert!(head(&api, "GET /api/things/1?any=1", "").is_empty());
}

#[test]
fn json_is_held_against_its_schema_whatever_it_is_called() {
    let api = one(
        "POST",
        &json!([{"name": "body", "location": "body", "type": "object", "required": true, "schema": {
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {"name": {"type": "string", "maxLength": 5}, "tags": {"type": "array", "items": {"$ref": "#/definitions/Tag"}}},
            "definitions": {"Tag": {"type": "integer", "minimum": 0}},
        }}]),
    );
    for kind in ["application/json", "application/vnd.a+json", "text/plain", "", "application/json; charset=utf-8"] {
        assert_eq!(body(&api, kind, br#"{"name":"x","tags":[1,2]}"#), None, "{kind}");
        let found = body(&api, kind, br#"{"name":"x","role":"admin"}"#).unwrap();
        assert_eq!(found, "`/role` is not as it should be: there must be no such member", "{kind}");
    }
    for (text, wanted) in [
        (&b""[..], "the body parameter `body` is missing"),
        (b"{\"name\":1}", "`/name` is not as it should be: it is of type integer, not string"),
        (b"{\"name\":\"abcdef\"}", "`/name` is not as it should be: it has 6 characters, more than 5"),
        (b"{\"name\":\"a\",\"tags\":[1,-1]}", "`/tags/1` is not as it should be: it is less than 0"),
        (b"{}", "`the body` is not as it should be: `name` is missing"),
        (b"[]", "`the body` is not as it should be: it is of type array, not object"),
    ] {
        assert_eq!(body(&api, "application/json", text).as_deref(), Some(wanted));
    }
    // Two names: applications take either, so neither can be trusted.
    let twice = body(&api, "application/json", br#"{"name":"a","name":{"$gt":""}}"#).unwrap();
    assert!(twice.contains("the name `name` comes twice"), "{twice}");
    assert!(
        body(&api, "application/xml", b"<a/>").unwrap().contains("of a content type that the operation does not take")
    );
    assert!(body(&api, "application/json", b"{\"name\"").unwrap().starts_with("the body is not read as JSON"));
}

#[test]
fn members_of_json_are_parameters_too() {
    let api = one(
        "POST",
        &json!([
            {"name": "/user/age", "location": "json", "type": "integer", "min": 0, "max": 150, "required": true},
            {"name": "tags", "location": "json", "type": "string", "array": true},
        ]),
    );
    assert_eq!(body(&api, "application/json", br#"{"user":{"age":3},"tags":["a"],"x":1}"#), None);
    for (text, wanted) in [
        (&br#"{"user":{}}"#[..], "the json parameter `/user/age` is missing"),
        (br#"{"user":{"age":"3"}}"#, "`/user/age` is not as it should be: is of type string, not integer"),
        (br#"{"user":{"age":151}}"#, "`/user/age` is not as it should be: is more than 150"),
        (br#"{"user":{"age":1},"tags":"a"}"#, "`/tags` is not as it should be: is of type string, not array"),
        (
            br#"{"user":{"age":1},"tags":[1]}"#,
            "`/tags` is not as it should be: has an item of type integer, not string",
        ),
    ] {
        assert_eq!(body(&api, "application/json", text).as_deref(), Some(wanted));
    }
}

#[test]
fn forms_and_xml_are_judged_by_their_fields() {
    let api = one(
        "POST",
        &json!([
            {"name": "n", "location": "formData", "type": "integer", "required": true},
            {"name": "/order/count", "location": "xml", "type": "integer", "max": 9},
        ]),
    );
    assert_eq!(body(&api, "application/x-www-form-urlencoded", b"n=1"), None);
    let wrong = body(&api, "application/x-www-form-urlencoded", b"n=a").unwrap();
    assert_eq!(wrong, "the formData parameter `n` is no integer");
    let multipart = b"--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nx\r\n--b--\r\n";
    assert_eq!(body(&api, "multipart/form-data; boundary=b", multipart), Some(wrong));

    assert_eq!(
        body(&api, "text/xml", b"<o:order xmlns:o='a'><count>&#55;</count><x><count>a</count></x></o:order>"),
        None
    );
    let wrong = body(&api, "text/xml", b"<order><count>1<![CDATA[0]]></count></order>");
    assert_eq!(wrong.as_deref(), Some("the xml parameter `/order/count` is more than 9"));
    assert!(body(&api, "text/xml", b"<order>").unwrap().starts_with("the body is not read as XML"));
    assert!(body(&api, "application/json", b"{}").unwrap().contains("content type"));
}

#[test]
fn a_specification_that_means_nothing_is_refused_with_its_place() {
    let refused = |path: &str, schema: &Value| {
        let spec = json!({"paths": [{"path": path, "methods": [{"method": "GET", "parameters": [{"name": "p", "schema": schema}]}]}]});
        Api::compile(&serde_json::from_value(spec).unwrap()).unwrap_err().to_string()
    };
    assert!(refused("/a/{", &json!({})).contains("path `/a/{`: `{` has a `{` without `}`"));
    for (schema, wanted) in [
        (json!({"type": "text"}), "`#/type` is none of null, boolean"),
        (json!({"properties": {"a": {"pattern": "("}}}), "`#/properties/a/pattern`: the pattern `(` is not understood"),
        (json!({"items": {"$ref": "#/b"}}), "`#/items`: there is no `#/b` in the schema"),
        (json!({"$ref": "other.json"}), "`#`: `other.json` is not within the schema"),
        (json!({"maxItems": -1}), "`#/maxItems` is no count"),
        (json!(7), "`#` is no schema"),
    ] {
        let found = refused("/a", &schema);
        assert!(found.contains("path `/a`: parameter `p`: ") && found.contains(wanted), "{found}");
    }
}

#[test]
fn what_is_not_looked_at_is_noted() {
    let api =
        one("GET", &json!([{"name": "p", "location": "query", "schema": {"anyOf": [{"if": {}, "description": "x"}]}}]));
    assert_eq!(api.unenforced(), ["parameter `p`: #/anyOf/0/if"]);
}

fn fits(schema: &Value, value: &str) -> bool {
    Schema::compile(schema).unwrap().check(&Json::parse(value.as_bytes()).unwrap()).is_ok()
}

#[test]
fn schemas_mean_what_the_standard_says() {
    for (schema, good, bad) in [
        (json!({"type": ["integer", "null"]}), vec!["1", "null", "1.0"], vec!["1.5", "\"1\""]),
        (json!({"type": "string", "nullable": true, "enum": ["a"]}), vec!["null", "\"a\""], vec!["\"b\""]),
        (json!({"const": {"a": [1]}}), vec!["{\"a\":[1.0]}"], vec!["{\"a\":[2]}", "{}"]),
        (json!({"minimum": 1, "exclusiveMaximum": 3}), vec!["1", "2.9", "\"x\""], vec!["0.9", "3"]),
        (json!({"minimum": 1, "exclusiveMinimum": true}), vec!["2"], vec!["1"]),
        (json!({"multipleOf": 0.1}), vec!["0.3", "7"], vec!["0.35"]),
        (json!({"pattern": "^a+$"}), vec!["\"aa\"", "1"], vec!["\"ab\""]),
        (json!({"minLength": 2, "maxLength": 3}), vec!["\"éé\""], vec!["\"é\"", "\"éééé\""]),
        (
            json!({"uniqueItems": true, "maxItems": 2}),
            vec!["[1,2]", "[1,\"1\"]"],
            vec!["[1,1.0]", "[1,2,3]", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]"],
        ),
        (
            json!({"minProperties": 1, "additionalProperties": {"type": "integer"}}),
            vec!["{\"a\":1}"],
            vec!["{}", "{\"a\":\"b\"}"],
        ),
        (json!({"oneOf": [{"minimum": 5}, {"maximum": 7}]}), vec!["1", "9"], vec!["6"]),
        (json!({"anyOf": [{"type": "string"}, {"minimum": 5}]}), vec!["\"\"", "5"], vec!["4"]),
        (json!({"allOf": [{"minimum": 5}, {"maximum": 7}], "not": {"const": 6}}), vec!["5", "7"], vec!["6", "8"]),
        (
            json!({"format": "date-time"}),
            vec!["\"2026-11-21T16:00:00Z\"", "\"2026-11-21T16:00:00.5+01:00\""],
            vec!["\"2026-13-21T16:00:00Z\"", "\"now\"", "\"2026-11-21T16:00:00\""],
        ),
        (json!({"format": "ipv4"}), vec!["\"10.0.0.1\""], vec!["\"10.0.0\""]),
        (json!({"format": "email"}), vec!["\"a@b.test\""], vec!["\"a\"", "\"a b@c\""]),
        (json!({"properties": {"a": false}}), vec!["{\"b\":1}"], vec!["{\"a\":1}"]),
        (
            json!({"$defs": {"T": {"properties": {"next": {"$ref": "#/$defs/T"}, "v": {"type": "integer"}}}}, "$ref": "#/$defs/T"}),
            vec!["{\"next\":{\"next\":{\"v\":1}}}"],
            vec!["{\"next\":{\"next\":{\"v\":\"x\"}}}"],
        ),
    ] {
        for value in good {
            assert!(fits(&schema, value), "{schema} {value}");
        }
        for value in bad {
            assert!(!fits(&schema, value), "{schema} {value}");
        }
    }
}

/// A schema that asks for the same in ever more ways is given up, not followed; and one that leads back to itself ends.
#[test]
fn schemas_cannot_hold_up_requests() {
    let bomb = json!({"$defs": {"T": {"anyOf": [
        {"properties": {"a": {"$ref": "#/$defs/T"}}, "required": ["x"]},
        {"properties": {"a": {"$ref": "#/$defs/T"}}, "required": ["y"]}, {"type": "integer"}]}}, "$ref": "#/$defs/T"});
    let deep = format!("{}\"end\"{}", "{\"a\":".repeat(100), "}".repeat(100));
    assert!(!fits(&bomb, &deep));
    assert!(!fits(&json!({"$defs": bomb["$defs"], "not": {"$ref": "#/$defs/T"}}), &deep));
    assert!(!fits(&json!({"$ref": "#"}), "1"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// No body makes the judging panic, whatever it is said to be.
    #[test]
    fn any_body_is_judged(kind in "(application/json|text/xml|multipart/form-data; boundary=b|application/x-www-form-urlencoded|text/a)",
        text in r#"[\[\]{}",:a1<>/&;=\-b\r\n ]{0,40}"#) {
        let api = one("POST", &json!([{"name": "a", "location": "formData", "type": "integer"}, {"name": "/a", "location": "xml"},
            {"name": "a", "location": "multipart"}, {"name": "b", "location": "body", "schema": {"uniqueItems": true, "required": ["a"]}}]));
        body(&api, &kind, text.as_bytes());
    }

    /// A value fits the schema of its own enumeration, and of no other value's.
    #[test]
    fn a_value_is_itself(text in r#"(\{("a":1)?\}|\[(1(,2)?)?\]|"[ab]{0,2}"|-?[0-9]{1,3}(\.5)?|true|null)"#, other in r#"("c"|\[3\]|false)"#) {
        let value: Value = serde_json::from_str(&text).unwrap();
        let schema = json!({"enum": [value]});
        prop_assert!(fits(&schema, &text));
        prop_assert!(!fits(&schema, &other));
    }

    /// No document makes the compiling of a schema panic.
    #[test]
    fn any_schema_is_compiled_or_refused(text in r##"\{("(type|enum|items|properties|\$ref|anyOf|not|required|minimum|pattern)":("string"|\[\]|\{\}|1|"#"|true|\["a"\]),?){0,3}"x":1\}"##) {
        if let Ok(schema) = serde_json::from_str(&text) {
            if let Ok(compiled) = Schema::compile(&schema) {
                let _ = compiled.check(&Json::Array(vec![Json::Null]));
            }
        }
    }
}
