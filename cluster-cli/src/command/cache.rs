//! `cluster cache`

use std::path::PathBuf;
use std::time::Duration;

use cluster_cache::{Cache as Namespace, CacheOptions, Caches, Change, Value as Kept};
use cluster_core::Operation;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tokio::task::LocalSet;

use super::ask;
use crate::args::{Cache, CacheVerb, Common};
use crate::error::CliError;
use crate::output;

pub(super) async fn cache(common: &Common, cache: &Cache) -> Result<(), CliError> {
    LocalSet::new()
        .run_until(carry_out(common, &cache.verb))
        .await
}

async fn carry_out(common: &Common, verb: &CacheVerb) -> Result<(), CliError> {
    match verb {
        CacheVerb::Ls(answer) => {
            let mut names = connect(common, answer.within()).await?.namespaces().await?;
            names.sort();
            list(common, &names)
        }
        CacheVerb::Keys(keys) => {
            let of = namespace(common, &keys.namespace, keys.answer.within()).await?;
            let keys: Vec<String> = of.keys().try_collect().await?;
            list(common, &keys)
        }
        CacheVerb::Get(get) => {
            let of = namespace(common, &get.namespace, get.answer.within()).await?;
            let value: Option<Value> = of.get(&get.key).await?;
            show(common, &of, &get.key, value)
        }
        CacheVerb::Set(set) => {
            let of = namespace(common, &set.namespace, set.answer.within()).await?;
            let mut setting = of.set(&set.key, &set.value);
            if let Some(expire) = set.expire {
                setting = setting.expire(Duration::from_millis(expire));
            }
            if let Some(persist) = set.persist {
                setting = setting.persist(persist);
            }
            if set.leave_if_not_null {
                setting = setting.leave_if_not_null();
            }
            let accepted = setting.await?;
            output::result(common.json, &json!({ "accepted": accepted }), || {
                let said = if accepted {
                    "set"
                } else {
                    "left: there is a value"
                };
                Ok(said.to_owned())
            })
        }
        CacheVerb::Del(del) => {
            let of = namespace(common, &del.namespace, del.answer.within()).await?;
            let value: Option<Value> = of.del(&del.key).await?;
            show(common, &of, &del.key, value)
        }
        CacheVerb::Watch(watch) => {
            let of = namespace(common, &watch.namespace, watch.answer.within()).await?;
            let mut changes = match &watch.key {
                Some(key) => of.watch(key).await?,
                None => of.watch_all().await?,
            };
            while let Some(change) = changes.next().await {
                tell(common, &change)?;
            }
            Ok(())
        }
        CacheVerb::Stat(stat) => {
            let caches = connect(common, stat.answer.within()).await?;
            let names = match &stat.namespace {
                Some(name) => vec![name.clone()],
                None => caches.namespaces().await?,
            };
            let mut figures = serde_json::Map::new();
            for name in names {
                let of = caches.cache(&name, CacheOptions::existing())?;
                let stat = serde_json::to_value(of.stat().await?).map_err(CliError::Answer)?;
                figures.insert(name, stat);
            }
            output::result(common.json, &figures.clone().into(), || Ok(table(&figures)))
        }
        CacheVerb::Clear(clear) => {
            let of = namespace(common, &clear.namespace, clear.answer.within()).await?;
            of.clear().await?;
            output::result(common.json, &json!({ "cleared": of.name() }), || {
                Ok(format!("cleared {}", output::plain(of.name())))
            })
        }
    }
}

/// The cache of the cluster that is meant: the master says where it is reached.
async fn connect(common: &Common, within: Duration) -> Result<Caches, CliError> {
    let state = ask(common, Operation::Status, within).await?;
    let socket: Option<PathBuf> =
        serde_json::from_value(state["cache_socket"].clone()).map_err(CliError::Answer)?;
    Ok(Caches::connect(socket.ok_or(CliError::NoCache)?, within))
}

async fn namespace(common: &Common, name: &str, within: Duration) -> Result<Namespace, CliError> {
    let caches = connect(common, within).await?;
    Ok(caches.cache(name, CacheOptions::existing())?)
}

fn list(common: &Common, names: &[String]) -> Result<(), CliError> {
    output::result(common.json, &names.into(), || {
        let lines: Vec<_> = names.iter().map(|name| output::plain(name)).collect();
        Ok(lines.join("\n"))
    })
}

fn show(common: &Common, of: &Namespace, key: &str, value: Option<Value>) -> Result<(), CliError> {
    let value = value.ok_or_else(|| CliError::NoValue {
        namespace: of.name().to_owned(),
        key: key.to_owned(),
    })?;
    output::result(common.json, &value, || Ok(value.to_string()))
}

fn tell(common: &Common, change: &Change) -> Result<(), CliError> {
    // What is no JSON was set by nobody who goes by the rules; that it was set is told all the same.
    let shown = |value: &Kept| value.get::<Value>().unwrap_or_default();
    let (what, value) = match change {
        Change::Set { value, .. } => ("set", Some(shown(value))),
        Change::Deleted { .. } => ("deleted", None),
        Change::Expired { .. } => ("expired", None),
        Change::Evicted { .. } => ("evicted", None),
        Change::Cleared => ("cleared", None),
        Change::Destroyed => ("destroyed", None),
        _ => ("resync", None),
    };
    let line = json!({ "change": what, "key": change.key(), "value": value });
    output::result(common.json, &line, || {
        let key = output::plain(change.key().unwrap_or_default()).into_owned();
        let value = value.as_ref().map(Value::to_string).unwrap_or_default();
        Ok(format!("{what} {key} {value}"))
    })
}

/// A line for each namespace, a column for each figure.
fn table(figures: &serde_json::Map<String, Value>) -> String {
    const COLUMNS: [&str; 8] = [
        "entries", "bytes", "hits", "misses", "loads", "errors", "expired", "evicted",
    ];
    let mut table = output::human::table();
    table.set_header(std::iter::once("namespace").chain(COLUMNS));
    for (name, stat) in figures {
        let cells = COLUMNS.iter().map(|column| stat[*column].to_string());
        table.add_row(std::iter::once(output::plain(name).into_owned()).chain(cells));
    }
    table.to_string()
}
