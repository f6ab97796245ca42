//! Errors of the admin interface as `application/problem+json` (RFC 9457).
//! `type` is always `about:blank`, so `title` is the phrase of the status; `detail` says what was wrong this time.
//! Leaves out everything secret: no problem repeats a token or a URL.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One error.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    faults: Vec<String>,
    header: Option<(HeaderName, &'static str)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            faults: Vec::new(),
            header: None,
        }
    }

    /// 401 with the challenge that RFC 9110 asks for.
    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        let header = Some((header::WWW_AUTHENTICATE, "Bearer realm=\"tandem\""));
        Self {
            header,
            ..Self::new(StatusCode::UNAUTHORIZED, detail)
        }
    }

    /// Adds the member `faults`: one line per fault.
    pub(crate) fn with_faults(self, faults: Vec<String>) -> Self {
        Self { faults, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if !self.faults.is_empty() {
            body["faults"] = self.faults.into();
        }
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, content_type, body.to_string()).into_response();
        if let Some((name, value)) = self.header {
            response
                .headers_mut()
                .insert(name, axum::http::HeaderValue::from_static(value));
        }
        response
    }
}
