//! What an application imports: the derives, the handle, the options, actix's handlers and serde's derives.

pub use actix::{Actor, Context, Handler, MessageResult};
pub use actix_web::web;
pub use cluster_cache::{
    CacheExt, CacheOptions, CopyOptions, DocumentExt, DocumentOptions, SessionStore, SessionsExt,
};
pub use cluster_core::{
    Cluster, Decay, Emitter, Event, HandlerActor, Options, Request, Role, Target,
};
pub use serde::{Deserialize, Serialize};

pub use crate::error::{Error, Result};
pub use crate::running::Running;
#[cfg(feature = "sessions")]
pub use crate::session::ClusterSessionsExt;
pub use crate::{millis, minutes, seconds};
