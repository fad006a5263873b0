//! Strict HTTP/1.1: reads a request's head and keeps its raw bytes. Sources: RFC 9112, RFC 9110.
