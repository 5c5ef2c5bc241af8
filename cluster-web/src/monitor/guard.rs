//! What stands before every route of the monitor: nothing is heard, and nothing done, past it.

use std::future::{Ready, ready};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use serde_json::json;

use super::access::{Access, Asked, Refusal};
use super::audit::{self, Deed};

/// Of every answer, unless its route says otherwise: nothing of it is run, framed, kept, guessed at or told to others.
const HEADERS: [(header::HeaderName, &str); 9] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    (header::CROSS_ORIGIN_EMBEDDER_POLICY, "require-corp"),
    (
        header::PERMISSIONS_POLICY,
        "camera=(), geolocation=(), microphone=()",
    ),
];

/// Paths that say up or down and nothing else: a load balancer may call this node what it likes.
#[derive(Clone, Debug)]
pub(super) struct Probed(pub(super) Vec<String>);

/// Hears each request first, and each answer last.
pub(super) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let acts = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let deed = acts.then(|| Deed::of(&request));
    let refusal = admit(&request, acts).err();
    let mut response = match refusal {
        Some(refusal) => {
            if let Some(deed) = deed {
                deed.refused(&refusal);
            }
            request
                .into_response(refusal.error_response())
                .map_into_boxed_body()
        }
        None => {
            let response = next.call(request).await?.map_into_boxed_body();
            audit::note(deed, &response);
            response
        }
    };
    for (name, value) in HEADERS {
        if !response.headers().contains_key(&name) {
            let value = header::HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

fn admit(request: &ServiceRequest, acts: bool) -> Result<(), Refusal> {
    let Some(access) = request.app_data::<Data<Access>>() else {
        return Ok(());
    };
    let asked = asked(request.request());
    let probes = request.app_data::<Data<Probed>>();
    let is_probe = probes.is_some_and(|probed| probed.0.iter().any(|path| path == request.path()));
    if acts || !is_probe {
        access.hear(&asked)?;
    }
    if acts { access.act(&asked) } else { Ok(()) }
}

fn asked(request: &HttpRequest) -> Asked<'_> {
    let text = |name: header::HeaderName| {
        let value = request.headers().get(name)?;
        // What is no text is as good as something wrong, and not as good as nothing.
        Some(value.to_str().unwrap_or("?"))
    };
    Asked {
        host: text(header::HOST),
        authorization: text(header::AUTHORIZATION),
        fetched: text(header::HeaderName::from_static("sec-fetch-site")),
        origin: text(header::ORIGIN),
        length: text(header::CONTENT_LENGTH),
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Refusal::Host => StatusCode::MISDIRECTED_REQUEST,
            Refusal::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Unauthorized => StatusCode::UNAUTHORIZED,
            Refusal::CrossSite | Refusal::NoToken(_) => StatusCode::FORBIDDEN,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if *self == Refusal::Unauthorized {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.json(json!({ "error": self.to_string() }))
    }
}

/// Whoever asks may act: for routes that act by GET, and those that show what the application keeps.
///
/// Where there is no monitor around it, as for health marks in an application of their own, only other sites are refused.
pub(crate) struct Right;

impl FromRequest for Right {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let asked = asked(request);
        let may = match request.app_data::<Data<Access>>() {
            Some(access) => access.act(&asked),
            None if crate::ecv::is_same_site(asked.fetched, asked.origin, asked.host) => Ok(()),
            None => Err(Refusal::CrossSite),
        };
        ready(may.map(|()| Right))
    }
}

/// The same for what acts though it is asked for by GET: it is entered among the deeds.
pub(crate) struct RightToAct;

impl FromRequest for RightToAct {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        request.extensions_mut().insert(audit::Acts);
        ready(
            Right::from_request(request, payload)
                .into_inner()
                .map(|Right| RightToAct),
        )
    }
}
