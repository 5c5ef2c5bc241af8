//! The fingerprint of a message's layout: FNV-1a over the tokens that decide what serde writes.
//!
//! Counted are the shape, the names, types, discriminants and serde attributes of fields and variants, in order. Not
//! counted are whitespace, doc comments, visibility and the type's own name. It is stable between builds: two processes
//! with the same source agree on it, whichever compiler built them.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Data, DeriveInput, Fields, Type};

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Ends each piece; no UTF-8 text holds this byte, so that no two sequences of pieces run together.
const END: u8 = 0xff;

/// The fingerprint of `input`, and of the type it is answered with, if it is.
pub(crate) fn of_message(input: &DeriveInput, reply: Option<&Type>) -> u64 {
    let mut fingerprint = Fingerprint(OFFSET_BASIS);
    fingerprint.serde_attributes(&input.attrs);
    match &input.data {
        Data::Struct(data) => {
            fingerprint.piece("struct");
            fingerprint.fields(&data.fields);
        }
        Data::Enum(data) => {
            fingerprint.piece("enum");
            for variant in &data.variants {
                fingerprint.serde_attributes(&variant.attrs);
                fingerprint.piece(&variant.ident.to_string());
                fingerprint.fields(&variant.fields);
                if let Some((_, value)) = &variant.discriminant {
                    fingerprint.piece("=");
                    fingerprint.tokens(value.to_token_stream());
                }
            }
        }
        Data::Union(data) => {
            fingerprint.piece("union");
            fingerprint.tokens(data.fields.to_token_stream());
        }
    }
    if let Some(reply) = reply {
        fingerprint.piece("->");
        fingerprint.tokens(reply.to_token_stream());
    }
    fingerprint.0
}

/// The fingerprint of `tokens` alone: equal for what differs in whitespace only.
pub(crate) fn of_tokens(tokens: impl ToTokens) -> u64 {
    let mut fingerprint = Fingerprint(OFFSET_BASIS);
    fingerprint.tokens(tokens.into_token_stream());
    fingerprint.0
}

struct Fingerprint(u64);

impl Fingerprint {
    fn fields(&mut self, fields: &Fields) {
        self.piece(match fields {
            Fields::Named(_) => "{",
            Fields::Unnamed(_) => "(",
            Fields::Unit => ";",
        });
        for field in fields {
            self.serde_attributes(&field.attrs);
            if let Some(ident) = &field.ident {
                self.piece(&ident.to_string());
            }
            self.piece(":");
            self.tokens(field.ty.to_token_stream());
            self.piece(",");
        }
        self.piece("end");
    }

    fn serde_attributes(&mut self, attributes: &[Attribute]) {
        for attribute in attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("serde"))
        {
            self.tokens(attribute.meta.to_token_stream());
        }
    }

    /// Token by token: the text of a whole stream would hold the source's whitespace in some compilers.
    fn tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Bracket => ("[", "]"),
                        // Put there by a `macro_rules!` around what it captured; the source does not show it.
                        Delimiter::None => {
                            self.tokens(group.stream());
                            continue;
                        }
                    };
                    self.piece(open);
                    self.tokens(group.stream());
                    self.piece(close);
                }
                TokenTree::Ident(ident) => self.piece(&ident.to_string()),
                TokenTree::Punct(punct) => self.piece(punct.as_char().encode_utf8(&mut [0; 4])),
                TokenTree::Literal(literal) => self.piece(&literal.to_string()),
            }
        }
    }

    fn piece(&mut self, text: &str) {
        for byte in text.bytes().chain([END]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn of(source: &str) -> u64 {
        of_message(&syn::parse_str(source).unwrap(), None)
    }

    #[test]
    fn what_serde_does_not_write_does_not_count() {
        let plain = of("struct P { sku: String, cents: Vec<Vec<u8>> }");
        for same in [
            "struct P{sku:String,cents:Vec<Vec<u8>>,}",
            "struct P {\n    sku: String,\n    cents: Vec< Vec<u8> >\n}",
            "/// A price.\nstruct P { /** of what */ sku: String, #[doc = \"in cents\"] cents: Vec<Vec<u8>> }",
            "#[derive(Clone)] #[event(name = \"p\")] pub struct P { pub sku: String, pub(crate) cents: Vec<Vec<u8>> }",
            "struct Renamed { sku: String, cents: Vec<Vec<u8>> }",
        ] {
            assert_eq!(of(same), plain, "{same}");
        }
    }

    #[test]
    fn every_change_of_the_layout_counts() {
        let sources = [
            "struct P;",
            "struct P();",
            "struct P {}",
            "struct P(String, u64);",
            "struct P(u64, String);",
            "struct P { sku: String, cents: u64 }",
            "struct P { cents: u64, sku: String }",
            "struct P { sku: String, cents: u32 }",
            "struct P { sku: String, euros: u64 }",
            "struct P { sku: String }",
            "struct P { sku: String, cents: u64, at: u64 }",
            "struct P { sku: String, #[serde(default)] cents: u64 }",
            "struct P { #[serde(default)] sku: String, cents: u64 }",
            "#[serde(rename_all = \"camelCase\")] struct P { sku: String, cents: u64 }",
            "enum P { A, B }",
            "enum P { B, A }",
            "enum P { A = 1, B }",
            "enum P { A, B = 1 }",
            "enum P { A(u8), B }",
            "enum P { A, B(u8) }",
            "enum P { A { x: u8 }, B }",
            "enum P { #[serde(rename = \"a\")] A, B }",
        ];
        let mut seen = HashMap::new();
        for source in sources {
            assert_eq!(seen.insert(of(source), source), None, "{source}");
        }
    }

    #[test]
    fn the_reply_counts() {
        let input: DeriveInput = syn::parse_str("struct Q { sku: String }").unwrap();
        let with = |reply: &str| of_message(&input, Some(&syn::parse_str(reply).unwrap()));
        assert_ne!(with("u64"), of_message(&input, None));
        assert_ne!(with("u64"), with("Option<u64>"));
        assert_eq!(with("Option<u64>"), with("Option < u64 >"));
    }

    /// A new fingerprint for an old layout would make every mixed cluster fall back to JSON.
    #[test]
    fn the_fingerprint_is_the_same_in_every_build() {
        assert_eq!(
            of("struct P { sku: String, cents: u64 }"),
            7_172_903_941_618_335_599
        );
    }

    #[test]
    fn an_invisible_group_of_a_macro_does_not_count() {
        let ty: TokenStream = "Vec<u8>".parse().unwrap();
        let grouped = proc_macro2::Group::new(Delimiter::None, ty.clone());
        assert_eq!(of_tokens(grouped), of_tokens(ty));
    }
}
