//! Whom an event is told, as people write it.

use cluster_core::Addressee;

/// Reads `master`, `workers`, `cache-manager` or `worker:N`.
pub(super) fn read(text: &str) -> Result<Addressee, String> {
    let allowed =
        "allowed: master, workers, cache-manager, worker:N with the id or pid of a worker";
    match text {
        "master" => Ok(Addressee::Master),
        "workers" => Ok(Addressee::Workers),
        "cache-manager" => Ok(Addressee::CacheManager),
        other => {
            let number = other.strip_prefix("worker:").and_then(|n| n.parse().ok());
            number
                .map(Addressee::Worker)
                .ok_or_else(|| allowed.to_owned())
        }
    }
}
