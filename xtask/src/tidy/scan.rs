//! What the rules want to know of a file, found in its tokens: comments and strings are out of it by themselves.

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};

/// A path of at least two segments, or one leaf of a `use`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PathUse {
    pub(super) segments: Vec<String>,
    /// The name it goes by from here on, in a `use`.
    pub(super) alias: Option<String>,
    /// The inline modules it stands in.
    pub(super) inside: Vec<String>,
    pub(super) import: bool,
    pub(super) line: usize,
}

/// A `mod name;`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ModUse {
    pub(super) name: String,
    /// The value of its `#[path]`.
    pub(super) path: Option<String>,
    /// The inline modules it stands in.
    pub(super) inside: Vec<String>,
}

/// All that was found in one file.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) paths: Vec<PathUse>,
    pub(super) mods: Vec<ModUse>,
    /// Names of called macros, with their lines.
    pub(super) macros: Vec<(String, usize)>,
    /// First words of attributes, with their lines.
    pub(super) attributes: Vec<(String, usize)>,
    /// Lines that say `unsafe`.
    pub(super) unsafes: Vec<usize>,
}

/// Macros whose words are syntax to look at and no code of the file. `quote!` is none of them: what it says is built.
const SYNTAX: &[&str] = &["parse_quote", "Token"];

/// Reads the tokens of `text`.
///
/// # Errors
/// The line that cannot be read.
pub(super) fn scan(text: &str) -> Result<Scan, usize> {
    let tokens: TokenStream = text
        .parse()
        .map_err(|error: proc_macro2::LexError| error.span().start().line.max(1))?;
    let mut scan = Scan::default();
    scan.walk(tokens, &mut Vec::new());
    Ok(scan)
}

fn line(ident: &Ident) -> usize {
    ident.span().start().line
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// Whether a `::` stands at `at`.
fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':' && punct.spacing() == Spacing::Joint)
        && is_punct(tokens.get(at + 1), ':')
}

impl Scan {
    fn walk(&mut self, stream: TokenStream, inside: &mut Vec<String>) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        // The `#[path]` that belongs to the item being read.
        let mut path = None;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Ident(word) => at = self.word(word, &tokens, at, &mut path, inside),
                TokenTree::Group(group) => {
                    if group.delimiter() == Delimiter::Brace {
                        path = None;
                    }
                    self.walk(group.stream(), inside);
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => path = None,
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    let group = at + usize::from(is_punct(tokens.get(at), '!'));
                    if let Some(TokenTree::Group(attribute)) = tokens.get(group)
                        && attribute.delimiter() == Delimiter::Bracket
                    {
                        self.attribute(attribute.stream(), &mut path);
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// Takes what begins with `word`, which ends before `at`, and tells where to go on.
    fn word(
        &mut self,
        word: &Ident,
        tokens: &[TokenTree],
        at: usize,
        path: &mut Option<String>,
        inside: &mut Vec<String>,
    ) -> usize {
        let name = word.to_string();
        match (name.as_str(), tokens.get(at)) {
            // `use<'a>` captures lifetimes and imports nothing.
            ("use", next) if !is_punct(next, '<') => {
                let end = (at..tokens.len())
                    .find(|&i| is_punct(tokens.get(i), ';'))
                    .unwrap_or(tokens.len());
                self.leaves(&tokens[at..end], &[], inside);
                end
            }
            ("mod", Some(TokenTree::Ident(module))) => {
                match tokens.get(at + 1) {
                    Some(TokenTree::Group(body)) => {
                        inside.push(module.to_string());
                        self.walk(body.stream(), inside);
                        inside.pop();
                        *path = None;
                    }
                    _ => self.mods.push(ModUse {
                        name: module.to_string(),
                        path: path.take(),
                        inside: inside.clone(),
                    }),
                }
                at + 2
            }
            ("unsafe", _) => {
                self.unsafes.push(line(word));
                at
            }
            _ if is_colons(tokens, at) => self.path(word, tokens, at, inside),
            _ => self.call(word, tokens, at),
        }
    }

    fn path(
        &mut self,
        first: &Ident,
        tokens: &[TokenTree],
        mut at: usize,
        inside: &[String],
    ) -> usize {
        let mut segments = vec![first.to_string()];
        let mut last = first;
        while is_colons(tokens, at) {
            let Some(TokenTree::Ident(next)) = tokens.get(at + 2) else {
                break;
            };
            segments.push(next.to_string());
            last = next;
            at += 3;
        }
        at = self.call(last, tokens, at);
        if segments.len() > 1 {
            self.paths.push(PathUse {
                segments,
                alias: None,
                inside: inside.to_vec(),
                import: false,
                line: line(first),
            });
        }
        at
    }

    /// Notes `name!(..)`, where a group tells it from `name != ..`, and tells where to go on.
    fn call(&mut self, name: &Ident, tokens: &[TokenTree], at: usize) -> usize {
        if !is_punct(tokens.get(at), '!')
            || !matches!(tokens.get(at + 1), Some(TokenTree::Group(_)))
        {
            return at;
        }
        self.macros.push((name.to_string(), line(name)));
        if SYNTAX.iter().any(|syntax| name == syntax) {
            at + 2
        } else {
            at
        }
    }

    fn attribute(&mut self, stream: TokenStream, path: &mut Option<String>) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        for token in &tokens {
            match token {
                TokenTree::Ident(word) => self.attributes.push((word.to_string(), line(word))),
                // cfg_attr(condition, ignore)
                TokenTree::Group(group) => self.attribute(group.stream(), path),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
        for window in tokens.windows(3) {
            if let [TokenTree::Ident(word), equals, TokenTree::Literal(value)] = window
                && word == "path"
                && is_punct(Some(equals), '=')
            {
                *path = Some(value.to_string().trim_matches('"').to_owned());
            }
        }
    }

    /// Every leaf of the tree of a `use`, with the segments before it.
    fn leaves(&mut self, tokens: &[TokenTree], before: &[String], inside: &[String]) {
        for branch in tokens.split(|token| is_punct(Some(token), ',')) {
            let mut segments = before.to_vec();
            let (mut first, mut alias, mut renamed, mut grown) = (0, None, false, false);
            for token in branch {
                match token {
                    TokenTree::Ident(word) if word == "as" => renamed = true,
                    TokenTree::Ident(word) if renamed => alias = Some(word.to_string()),
                    TokenTree::Ident(word) => {
                        segments.push(word.to_string());
                        grown = true;
                        first = if first == 0 { line(word) } else { first };
                    }
                    TokenTree::Punct(star) if star.as_char() == '*' => {
                        segments.push("*".to_owned());
                        grown = true;
                        first = if first == 0 {
                            star.span().start().line
                        } else {
                            first
                        };
                    }
                    TokenTree::Group(group) => {
                        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                        self.leaves(&inner, &segments, inside);
                        grown = false;
                        segments.clear();
                    }
                    TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                }
            }
            if grown {
                self.paths.push(PathUse {
                    segments,
                    alias,
                    inside: inside.to_vec(),
                    import: true,
                    line: first,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        scan(text)
            .unwrap()
            .paths
            .iter()
            .map(|path| format!("{}:{}", path.line, path.segments.join("::")))
            .collect()
    }

    #[test]
    fn uses_are_taken_leaf_by_leaf() {
        let found = paths(
            "pub use crate::{id::WorkerId,\n wire::{self, frame::*}};\nuse std::io as files;",
        );
        assert_eq!(
            found,
            [
                "1:crate::id::WorkerId",
                "2:crate::wire::self",
                "2:crate::wire::frame::*",
                "3:std::io"
            ]
        );
    }

    #[test]
    fn paths_are_found_in_code_and_not_in_comments_or_strings() {
        let found = paths(
            "// a::b\nfn f() -> impl use<'_> + X { g::<u8>(\"c::d\"); vec![crate::wire::Kind::Hello] }",
        );
        assert_eq!(found, ["2:crate::wire::Kind::Hello"]);
    }

    #[test]
    fn modules_know_their_path_and_where_they_stand() {
        let found = scan("#[path = \"x/y.rs\"] pub(crate) mod a; mod b { mod c; }")
            .unwrap()
            .mods;
        assert_eq!(
            found[0],
            ModUse {
                name: "a".into(),
                path: Some("x/y.rs".into()),
                inside: vec![]
            }
        );
        assert_eq!(
            found[1],
            ModUse {
                name: "c".into(),
                path: None,
                inside: vec!["b".into()]
            }
        );
    }

    #[test]
    fn macros_are_told_from_inequality() {
        let found = scan("fn f() { if todo != (1) { std::todo!() } }").unwrap();
        assert_eq!(found.macros, [("todo".to_owned(), 1)]);
    }

    #[test]
    fn syntax_to_look_at_is_no_code() {
        let text = "fn f() { syn::parse_quote!(unsafe fn g() {}); x.peek(Token![unsafe]); quote!(unsafe {}) }\n";
        let found = scan(text).unwrap();
        assert_eq!((found.unsafes.len(), found.macros.len()), (1, 3));
    }
}
