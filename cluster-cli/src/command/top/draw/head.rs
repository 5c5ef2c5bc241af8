//! The head: which cluster it is, how it is, and what all workers do together.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{BOLD, Look};
use crate::command::top::model::Model;
use crate::output::human;
use crate::output::status::upgrade;
use crate::state::Cluster;

pub(super) fn lines(model: &Model, look: Look) -> Vec<Line<'static>> {
    let cluster = &model.cluster;
    let mut lines = vec![first(cluster, look), second(cluster, look), third(model)];
    if let Some(away) = &model.away {
        let ago = look.now.saturating_duration_since(away.since).as_millis();
        let ago = human::span(u64::try_from(ago).unwrap_or(u64::MAX));
        let cause = &away.cause;
        lines.push(Line::styled(
            format!("the master is away since {ago}: {cause}"),
            look.bad(),
        ));
        let text = match cluster.state.as_str() {
            "stopping" => "the cluster was stopping; it is looked for each second",
            _ => {
                "workers serve on without it; this is how they were, and it is looked for each second"
            }
        };
        lines.push(Line::styled(text, look.warn()));
    }
    if let Some(cause) = &cluster.crash_loop {
        lines.push(Line::styled(format!("crash loop: {cause}"), look.bad()));
    }
    if let Some(upgrade) = cluster.upgrade.as_ref().and_then(upgrade) {
        lines.push(Line::styled(upgrade, look.warn()));
    }
    lines
}

fn first(cluster: &Cluster, look: Look) -> Line<'static> {
    let style = match cluster.state.as_str() {
        "running" => look.good(),
        "starting" => look.warn(),
        _ => look.bad(),
    };
    let rolling = if cluster.rolling { ", rolling" } else { "" };
    let uptime = human::span(cluster.master.uptime_ms);
    Line::from(vec![
        Span::styled(cluster.name.clone(), BOLD),
        Span::raw(": "),
        Span::styled(format!("{}{rolling}", cluster.state), style),
        Span::raw(format!(
            ", build {}, master {}, up {uptime}",
            cluster.build, cluster.master.pid
        )),
    ])
}

fn second(cluster: &Cluster, look: Look) -> Line<'static> {
    let (serving, wanted) = (cluster.serving, cluster.wanted);
    let all = if serving < wanted {
        look.warn()
    } else {
        Style::new()
    };
    let marked = match cluster.mark.as_str() {
        "down" => look.bad(),
        _ => Style::new(),
    };
    let manager = match &cluster.cache_manager {
        Some(manager) => format!(
            ", cache manager {}, pid {}, up {}",
            manager.state,
            manager.pid,
            human::span(manager.uptime_ms)
        ),
        None => ", no cache manager".to_owned(),
    };
    Line::from(vec![
        Span::styled(
            format!("{serving} of {} serving", human::count(wanted, "worker")),
            all,
        ),
        Span::raw(", "),
        Span::styled(format!("marked {}", cluster.mark), marked),
        Span::raw(manager),
    ])
}

fn third(model: &Model) -> Line<'static> {
    let beats = || {
        let workers = model.cluster.workers.iter();
        workers.filter_map(|worker| worker.beat.as_ref())
    };
    // A sum of no floating-point numbers would be -0.
    let tps = beats().fold(0.0, |all, beat| all + beat.tps);
    let memory = human::bytes(beats().map(|beat| beat.rss_bytes).sum());
    let connections = human::count(
        beats().map(|beat| beat.live_connections).sum(),
        "connection",
    );
    let shares = model.tracks().filter_map(|track| track.cpu());
    let cores = shares.fold(0.0, |all, share| all + share);
    let bars = model.total.bars(model.total.most());
    Line::from(format!(
        "{tps:.0} requests/s, {cores:.2} cores, {memory}, {connections}  {}",
        bars.trim_start()
    ))
}
