//! Loads under way in this thread. Callers of one key share one; it goes on whether or not they still wait for it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use cluster_core::contain_panic;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use tokio::time::timeout;
use tracing::warn;

use super::answer::Got;
use super::lease::Lease;
use super::link::{Again, Link, Time};
use super::space::Space;
use crate::error::CacheError;
use crate::options::millis;
use crate::protocol::{Keep, Op};

/// What a load comes to: the encoded value, or that there is none.
pub(super) type Loaded = Result<Option<Rc<[u8]>>, CacheError>;
/// Loads a value and encodes it; empty bytes say that there is none.
pub(super) type Load = Box<dyn FnOnce() -> LocalBoxFuture<'static, Result<Vec<u8>, String>>>;

type Flight = Shared<LocalBoxFuture<'static, Loaded>>;

#[derive(Default)]
pub(super) struct Flights(RefCell<HashMap<(u32, Box<str>), Flight>>);

/// How a value is to be loaded.
pub(super) struct Order {
    pub(super) load: Load,
    pub(super) keep: Keep,
    pub(super) load_timeout: Duration,
}

/// Takes part in the load of a key, or begins it.
pub(super) fn join(link: &Rc<Link>, space: &Arc<Space>, key: &str, order: Order) -> Flight {
    let id = (space.number, Box::from(key));
    if let Some(flight) = link.flights.0.borrow().get(&id) {
        return flight.clone();
    }
    let flight = fly(Rc::clone(link), Arc::clone(space), id.1.clone(), order)
        .boxed_local()
        .shared();
    let mut flights = link.flights.0.borrow_mut();
    flights.insert(id.clone(), flight.clone());
    drop(flights);
    let (driven, link) = (flight.clone(), Rc::clone(link));
    tokio::task::spawn_local(async move {
        let _ = driven.await;
        link.flights.0.borrow_mut().remove(&id);
    });
    flight
}

async fn fly(link: Rc<Link>, space: Arc<Space>, key: Box<str>, order: Order) -> Loaded {
    let load_ms = millis(order.load_timeout);
    let acquire = || Op::Acquire { key: &key, load_ms };
    // Another may load first, and fail, and then it is our turn.
    let wait = order.load_timeout.saturating_add(space.wait);
    match link.ask(&space, acquire, Again::Yes, wait).await? {
        Got::Hit { value, .. } => Ok(Some(value[..].into())),
        Got::Absent => Ok(None),
        Got::Failed(cause) => Err(failed(&space, &key, cause)),
        Got::Lease { lease, stale } => {
            let until = Time::from(order.load_timeout).end;
            let lease = Lease::hold(&link, &space, &key, lease, until);
            let loading = run(link, space, key, order, lease);
            if stale.is_empty() {
                return loading.await;
            }
            // The old value serves for now; what the load comes to is the next caller's.
            tokio::task::spawn_local(async move {
                if let Err(e) = loading.await {
                    warn!(error = %e, "a value of the cache could not be renewed");
                }
            });
            Ok(Some(stale.into()))
        }
        _ => Err(CacheError::Protocol),
    }
}

/// Runs the loader under a lease, and tells the manager what it came to.
async fn run(
    link: Rc<Link>,
    space: Arc<Space>,
    key: Box<str>,
    order: Order,
    lease: Lease,
) -> Loaded {
    let Order {
        load,
        keep,
        load_timeout,
    } = order;
    let loading = async move {
        let begun = contain_panic(load).map_err(panicked)?;
        Contained(begun).await
    };
    let Ok(loaded) = timeout(load_timeout, loading).await else {
        // The lease goes to the next one who waits.
        drop(lease);
        let ms = millis(load_timeout);
        return Err(failed(&space, &key, format!("it took longer than {ms} ms")));
    };
    let allowed = usize::try_from(space.options.space.max_value_bytes).unwrap_or(usize::MAX);
    let loaded = loaded.and_then(|value| match value.len() {
        bytes if bytes > allowed => Err(format!(
            "the value takes {bytes} bytes (allowed: up to {allowed})"
        )),
        _ => Ok(value),
    });
    match loaded {
        Ok(value) => {
            let fulfil = |lease| {
                let (key, value) = (&key, &value);
                move || Op::Fulfil {
                    key,
                    lease,
                    value,
                    keep,
                }
            };
            // Those here have their value, whatever becomes of the manager.
            let fulfil = fulfil(lease.number());
            let told = link.ask_for_reply(&space, fulfil, Again::Yes, space.wait);
            let told = told.await;
            lease.done();
            match &told {
                Ok(reply) => space.changed(&key, reply.as_of),
                Err(_) => space.may_have_written(&key),
            }
            if let Err(e) = told {
                warn!(namespace = %space.name, error = %e, "what was loaded is not kept");
            }
            Ok((!value.is_empty()).then(|| value.into()))
        }
        Err(cause) => {
            let abandon = Op::Abandon {
                key: &key,
                lease: lease.done(),
                failure: Some(&cause),
            };
            link.tell(space.number, abandon);
            Err(failed(&space, &key, cause))
        }
    }
}

fn failed(space: &Space, key: &str, cause: String) -> CacheError {
    CacheError::Load {
        namespace: space.name.clone(),
        key: key.to_owned(),
        cause,
    }
}

fn panicked(said: String) -> String {
    format!("the loader panicked: {said}")
}

/// A future of the application's: its panic is its error.
struct Contained(LocalBoxFuture<'static, Result<Vec<u8>, String>>);

impl Future for Contained {
    type Output = Result<Vec<u8>, String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match contain_panic(|| self.0.as_mut().poll(cx)) {
            Ok(polled) => polled,
            // It is not polled again, only dropped.
            Err(said) => Poll::Ready(Err(panicked(said))),
        }
    }
}
