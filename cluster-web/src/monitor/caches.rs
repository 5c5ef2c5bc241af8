//! The shared cache: figures of its namespaces, keys, one value as JSON, and changes as they come.
//!
//! What is kept in it is the application's: it is shown to those who may act.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::web::{self, Bytes, Data, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use cluster_cache::{
    Cache, CacheError, CacheExt, CacheOptions, Caches, Change, Inspected, Refusal, Stat,
    Value as Kept,
};
use cluster_core::Cluster;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::audit;
use super::guard::Right;
use super::live::Feed;

/// Namespaces whose figures are shown.
const NAMESPACES: usize = 256;
/// How long all figures may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Keys that one answer has, and the bytes that they take.
const KEYS: usize = 10_000;
const KEY_BYTES: usize = 1024 * 1024;
/// Keys that a search looks at.
const LOOKED_AT: usize = 1_000_000;
/// A value is shown up to so many bytes of JSON, and in a watch up to so many.
const SHOWN: usize = 256 * 1024;
const SHOWN_IN_WATCH: usize = 1024;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .route("/debug/caches/keys", web::get().to(keys))
        .route("/debug/caches/watch", web::get().to(watch))
        .service(
            web::resource("/debug/caches/entry")
                .route(web::get().to(inspect))
                .route(web::delete().to(delete)),
        );
}

/// The figures of each namespace; those that do not answer in time are left out.
pub(super) async fn figures(cluster: &Cluster) -> BTreeMap<String, Stat> {
    if !cluster.options().cache.enable {
        return BTreeMap::new();
    }
    let ask = async {
        let caches = Caches::connect(cluster.cache_socket(), PATIENCE);
        let names = caches.namespaces().await.unwrap_or_default();
        let one = async |name: String| {
            let cache = cluster.cache(&name, CacheOptions::existing()).ok()?;
            Some((name, cache.with_wait(PATIENCE).stat().await.ok()?))
        };
        let all = names.into_iter().take(NAMESPACES).map(one);
        futures_util::future::join_all(all)
            .await
            .into_iter()
            .flatten()
            .collect()
    };
    timeout(PATIENCE, ask).await.unwrap_or_default()
}

#[derive(Deserialize)]
struct Of {
    namespace: String,
    #[serde(default)]
    contains: String,
}

#[derive(Deserialize)]
struct Entry {
    namespace: String,
    key: String,
}

async fn keys(_: Right, cluster: Data<Cluster>, of: Query<Of>) -> HttpResponse {
    let found = async {
        let cache = namespace(&cluster, &of.namespace).await?;
        let mut all = std::pin::pin!(cache.keys());
        let (mut found, mut bytes, mut seen) = (Vec::new(), 0, 0);
        while let Some(key) = all.next().await {
            let key = key?;
            seen += 1;
            if key.contains(&of.contains) {
                bytes += key.len();
                found.push(key);
            }
            if found.len() >= KEYS || bytes >= KEY_BYTES || seen >= LOOKED_AT {
                return Ok((found, true));
            }
        }
        Ok((found, false))
    };
    match found.await {
        Ok((mut keys, more)) => {
            keys.sort_unstable();
            HttpResponse::Ok().json(json!({ "keys": keys, "more": more }))
        }
        Err(error) => failed(&error),
    }
}

async fn inspect(_: Right, cluster: Data<Cluster>, entry: Query<Entry>) -> HttpResponse {
    let inspected = async {
        namespace(&cluster, &entry.namespace)
            .await?
            .inspect(&entry.key)
            .await
    };
    match inspected.await {
        Ok(Some(inspected)) => HttpResponse::Ok().json(shown(&inspected)),
        Ok(None) => {
            HttpResponse::NotFound().json(json!({ "error": "there is no such key any more" }))
        }
        Err(error) => failed(&error),
    }
}

async fn delete(request: HttpRequest, cluster: Data<Cluster>, entry: Query<Entry>) -> HttpResponse {
    audit::tell(
        &request,
        format!(
            "delete {:?} from the cache {:?}",
            entry.key, entry.namespace
        ),
    );
    let deleted = async {
        let cache = namespace(&cluster, &entry.namespace).await?;
        // Of whatever type it is: what it was is not wanted.
        match cache.del::<serde::de::IgnoredAny>(&entry.key).await {
            Ok(was) => Ok(was.is_some()),
            Err(CacheError::Decode { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    };
    match deleted.await {
        Ok(deleted) => HttpResponse::Ok().json(json!({ "deleted": deleted })),
        Err(error) => failed(&error),
    }
}

async fn watch(_: Right, cluster: Data<Cluster>, feed: Data<Feed>, of: Query<Of>) -> HttpResponse {
    let Some(place) = feed.place() else {
        return HttpResponse::ServiceUnavailable()
            .json(json!({ "error": "too many pages are open" }));
    };
    let changes = async { namespace(&cluster, &of.namespace).await?.watch_all().await };
    let changes = match changes.await {
        Ok(changes) => changes,
        Err(error) => return failed(&error),
    };
    let lines = changes.map(move |change| {
        let _ = &place;
        Ok::<_, actix_web::Error>(Bytes::from(format!(
            "event: change\ndata: {}\n\n",
            told(&change)
        )))
    });
    // Something to begin with, so that the page knows that it is heard.
    let begun = stream::iter([Ok(Bytes::from_static(b": watching\n\n"))]);
    super::live::streaming(begun.chain(lines).take_until(feed.over()))
}

/// A namespace that there is. It is asked for first: a process has room for so many names, and those that are made up are not to fill it.
async fn namespace(cluster: &Cluster, name: &str) -> Result<Cache, CacheError> {
    if !cluster.options().cache.enable {
        return Err(CacheError::Disabled);
    }
    let wait = cluster.options().cache.timeout;
    let names = Caches::connect(cluster.cache_socket(), wait)
        .namespaces()
        .await?;
    if !names.iter().any(|known| known == name) {
        return Err(CacheError::Refused(Refusal::NoNamespace));
    }
    cluster.cache(name, CacheOptions::existing())
}

fn shown(inspected: &Inspected) -> Value {
    let (value, cut) = inspected.value.as_ref().map_or((None, false), |value| {
        let (text, cut) = text(value, SHOWN);
        (Some(text), cut)
    });
    json!({
        "value": value,
        "cut": cut,
        "persist": inspected.persist,
        "left_ms": inspected.left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
    })
}

fn told(change: &Change) -> Value {
    let (what, value) = match change {
        Change::Set { value, .. } => ("set", Some(text(value, SHOWN_IN_WATCH).0)),
        Change::Deleted { .. } => ("deleted", None),
        Change::Expired { .. } => ("expired", None),
        Change::Evicted { .. } => ("evicted", None),
        Change::Cleared => ("cleared", None),
        Change::Destroyed => ("destroyed", None),
        _ => ("resync", None),
    };
    json!({ "change": what, "key": change.key(), "value": value })
}

/// A value as JSON text, cut off where it is too long to be read.
fn text(value: &Kept, longest: usize) -> (String, bool) {
    let mut text = match value.get::<Value>() {
        Ok(value) if longest > SHOWN_IN_WATCH => {
            serde_json::to_string_pretty(&value).unwrap_or_default()
        }
        Ok(value) => value.to_string(),
        Err(error) => format!("(it cannot be shown as JSON: {error})"),
    };
    let cut = text.len() > longest;
    if cut {
        let end = (0..=longest)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or_default();
        text.truncate(end);
    }
    (text, cut)
}

fn failed(error: &CacheError) -> HttpResponse {
    let mut response = match error {
        CacheError::Disabled | CacheError::Refused(Refusal::NoNamespace) => {
            HttpResponse::NotFound()
        }
        CacheError::Name(_) | CacheError::Key { .. } => HttpResponse::BadRequest(),
        _ => HttpResponse::GatewayTimeout(),
    };
    response.json(json!({ "error": error.to_string() }))
}
