//! `/debug/live`: all there is to see, and then what changes, as server-sent events.

mod feed;
mod patch;
mod picture;

use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{Error, HttpResponse};
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;

pub(super) use feed::Feed;

pub(super) fn configure(config: &mut ServiceConfig) {
    config.route("/debug/live", web::get().to(live));
}

async fn live(feed: Data<Feed>) -> HttpResponse {
    let Some(place) = feed.place() else {
        return HttpResponse::ServiceUnavailable()
            .json(json!({ "error": "too many pages are open" }));
    };
    let (all, told) = feed.subscribe();
    // Who is too far behind is cut off, and comes again.
    let news = stream::unfold((told, place), |(mut told, place)| async move {
        let news = told.recv().await.ok()?;
        Some((Ok(news), (told, place)))
    });
    streaming(stream::iter([Ok(all)]).chain(news).take_until(feed.over()))
}

/// An answer that goes on as events come.
pub(super) fn streaming(
    events: impl Stream<Item = Result<Bytes, Error>> + 'static,
) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/event-stream")
        // A proxy that gathers what it passes on would hold it back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events)
}
