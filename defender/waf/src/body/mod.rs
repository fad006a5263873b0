//! Reads bodies (forms, multipart, JSON, XML) into a request's values.
