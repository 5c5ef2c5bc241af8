//! What is mapped into the memory of a process.

/// A mapping that code is executed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Where in the file it begins.
    pub(super) offset: u64,
    /// The file, or a name in brackets.
    pub(super) name: String,
}

/// The executable mappings, from the text of `/proc/PID/maps`.
pub(super) fn executable(text: &str) -> Vec<Mapping> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Mapping> {
    let (fields, name) = split(line);
    let mut fields = fields.into_iter();
    let (start, end) = fields.next()?.split_once('-')?;
    let is_executable = fields.next()?.as_bytes().get(2) == Some(&b'x');
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let offset = hex(fields.next()?)?;
    let mapping = Mapping {
        start: hex(start)?,
        end: hex(end)?,
        offset,
        name: name.to_owned(),
    };
    (is_executable && !mapping.name.is_empty()).then_some(mapping)
}

/// The five fields before the name, which may have blanks in it, and the name.
fn split(line: &str) -> (Vec<&str>, &str) {
    let mut fields = Vec::new();
    let mut rest = line;
    while fields.len() < 5 {
        let (field, more) = rest.split_once(' ').unwrap_or((rest, ""));
        fields.push(field);
        rest = more.trim_start_matches(' ');
    }
    (fields, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_executable_and_has_a_name_is_found() {
        let text = "55d0-55e0 r--p 00000000 fe:00 123   /srv/a b (deleted)\n\
                    55e0-55f0 r-xp 00010000 fe:00 123   /srv/a b (deleted)\n\
                    7000-7010 rwxp 00000000 00:00 0 \n\
                    7f00-7f10 r-xp 00000000 00:00 0                          [vdso]\n\
                    nonsense\n\n";
        let found = executable(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].start, found[0].offset), (0x55e0, 0x10000));
        assert_eq!(found[0].name, "/srv/a b (deleted)");
        assert_eq!(found[1].name, "[vdso]");
    }
}
