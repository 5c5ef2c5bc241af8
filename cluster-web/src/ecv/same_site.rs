//! Browsers may not act across sites: whoever lures an operator to a page must not mark a node down by it.

/// Browsers say where a request comes from by `Sec-Fetch-Site` (Fetch Metadata) or, older ones, by `Origin`.
pub(crate) fn is_same_site(
    fetched: Option<&str>,
    origin: Option<&str>,
    host: Option<&str>,
) -> bool {
    match (fetched, origin) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some() && authority == host
        }
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::is_same_site;

    #[test]
    fn browsers_act_on_their_own_site_alone() {
        let host = Some("127.0.0.1:8081");
        assert!(is_same_site(None, None, host), "no browser");
        assert!(is_same_site(Some("none"), None, host), "typed in");
        assert!(is_same_site(
            Some("same-origin"),
            Some("http://127.0.0.1:8081"),
            host
        ));
        assert!(is_same_site(None, Some("http://127.0.0.1:8081"), host));
        assert!(!is_same_site(Some("cross-site"), None, host));
        assert!(!is_same_site(Some("same-site"), None, host));
        assert!(!is_same_site(None, Some("http://evil.example"), host));
        assert!(!is_same_site(None, Some("null"), host));
    }
}
