//! Every action by way of the monitor is a line of the log, under the target `cluster::audit`: who, what, and what came of it.

use std::net::SocketAddr;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use tracing::{info, warn};

use super::access::{Access, Refusal};

/// A text from outside is shown up to so many characters.
const SHOWN: usize = 200;

/// The request acts, though it was asked for by GET.
pub(super) struct Acts;

/// What a route has done, in more words than its path has.
struct Told(String);

/// Says in the audit what a request does.
pub(crate) fn tell(request: &HttpRequest, what: impl Into<String>) {
    request.extensions_mut().insert(Told(what.into()));
}

/// A request that acts.
pub(super) struct Deed {
    who: String,
    what: String,
}

impl Deed {
    pub(super) fn of(request: &ServiceRequest) -> Self {
        Self::of_request(request.request())
    }

    fn of_request(request: &HttpRequest) -> Self {
        let access = request.app_data::<Data<Access>>();
        Deed {
            who: who(
                request.peer_addr(),
                request.headers(),
                access.map(|access| &***access),
            ),
            what: shown(&format!("{} {}", request.method(), request.path())),
        }
    }

    pub(super) fn refused(self, refusal: &Refusal) {
        let Deed { who, what } = self;
        warn!(target: "cluster::audit", who, what, outcome = "refused", reason = %refusal, "audit");
    }
}

/// Enters what was answered to a request that acts.
pub(super) fn note(deed: Option<Deed>, response: &ServiceResponse<impl Sized>) {
    let request = response.request();
    let acts = request.extensions().get::<Acts>().is_some();
    let Some(mut deed) = deed.or_else(|| acts.then(|| Deed::of_request(request))) else {
        return;
    };
    if let Some(Told(what)) = request.extensions().get::<Told>() {
        deed.what = shown(what);
    }
    let (Deed { who, what }, status) = (deed, response.status());
    let code = status.as_u16();
    if status.is_success() {
        info!(target: "cluster::audit", who, what, outcome = "done", status = code, "audit");
    } else {
        warn!(target: "cluster::audit", who, what, outcome = "refused", status = code, "audit");
    }
}

fn who(peer: Option<SocketAddr>, headers: &HeaderMap, access: Option<&Access>) -> String {
    let from = peer.map_or_else(|| "unix socket".to_owned(), |peer| peer.to_string());
    if access.is_some_and(Access::needs_token) {
        return format!("{from} with the token");
    }
    let forwarded = ["x-forwarded-user", "x-forwarded-for"]
        .into_iter()
        .find_map(|name| headers.get(name)?.to_str().ok());
    match forwarded {
        // Only a proxy that is known to be there is believed.
        Some(user) if access.is_some_and(Access::is_behind_proxy) => {
            format!("{} by way of {from}", shown(user))
        }
        _ => from,
    }
}

/// A text from outside, in one line and no longer than can be read.
fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '?' } else { c };
    text.chars().take(SHOWN).map(plain).collect()
}
