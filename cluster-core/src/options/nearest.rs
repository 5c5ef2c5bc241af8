//! What somebody meant who wrote a name that is not known.

/// The one among `known` that is spelled most like `name`, unless none is close.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    // Comparing costs length times length, and no key is this long.
    if length > 64 {
        return None;
    }
    // The group is most of some names: what stands after it decides how much may differ.
    let own = name.rsplit('.').next().map_or(0, |own| own.chars().count());
    let folded = name.to_ascii_lowercase();
    known
        .into_iter()
        .map(|one| {
            (
                strsim::osa_distance(&folded, &one.to_ascii_lowercase()),
                one,
            )
        })
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 1 + own / 3)
        .map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_close_is_named_and_the_far_is_not() {
        let known = ["port", "mon-port", "workers"];
        assert_eq!(nearest("prot", known), Some("port"));
        assert_eq!(nearest("monPort", known), Some("mon-port"));
        assert_eq!(nearest("worker", known), Some("workers"));
        assert_eq!(nearest("cache.port", ["cache.mode"]), None);
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"p".repeat(1_000), known), None);
    }
}
