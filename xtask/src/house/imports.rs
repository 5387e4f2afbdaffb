//! Which file of a crate uses which other: by `use`, and by paths in what it does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ImplItemFn, ItemFn, ItemMod, ItemUse, Macro, MetaList, UseTree, VisRestricted};

use super::sources::{Source, is_test};

/// One file uses another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
    /// Where, and what.
    pub(super) line: usize,
    pub(super) path: String,
}

/// The imports of all files, each pair of files once. A `mod` line is none.
pub(super) fn of(sources: &[Source]) -> Vec<Import> {
    let modules: BTreeMap<&[String], &Path> =
        sources.iter().map(|source| (source.module.as_slice(), source.path.as_path())).collect();
    let mut imports: Vec<Import> = Vec::new();
    for source in sources {
        let mut seen: BTreeSet<&Path> = BTreeSet::new();
        for Used { path, line } in used_paths(source) {
            let Some(to) = file_of(&modules, &source.module, &path).filter(|to| *to != source.path) else { continue };
            if seen.insert(to) {
                let (from, to) = (source.path.clone(), to.to_owned());
                imports.push(Import { from, to, line, path: path.join("::") });
            }
        }
    }
    imports
}

/// A path as it is written, and the line.
struct Used {
    path: Vec<String>,
    line: usize,
}

/// The file that a path leads to from `module`; `None` for another crate's, and for what begins with something that was imported.
fn file_of<'a>(modules: &BTreeMap<&[String], &'a Path>, module: &[String], path: &[String]) -> Option<&'a Path> {
    let (mut from, mut rest): (Vec<String>, &[String]) = match path {
        [first, rest @ ..] if first == "crate" => (Vec::new(), rest),
        [first, rest @ ..] if first == "self" => (module.to_vec(), rest),
        [first, ..] if first == "super" => (module.to_vec(), path),
        // A module below this one.
        [first, ..] if modules.contains_key([module, std::slice::from_ref(first)].concat().as_slice()) => {
            (module.to_vec(), path)
        }
        _ => return None,
    };
    while let [first, after @ ..] = rest
        && first == "super"
    {
        from.pop()?;
        rest = after;
    }
    for name in rest {
        from.push(name.clone());
        if !modules.contains_key(from.as_slice()) {
            from.pop();
            break;
        }
    }
    modules.get(from.as_slice()).copied()
}

fn used_paths(source: &Source) -> Vec<Used> {
    let mut collector = Collector { used: Vec::new(), inside: 0 };
    collector.visit_file(&source.syntax);
    collector.used
}

struct Collector {
    used: Vec<Used>,
    /// Modules inside of this file that a path stands in: `super` is one of them.
    inside: usize,
}

impl Collector {
    fn push(&mut self, mut path: Vec<String>, line: usize) {
        for _ in 0..self.inside {
            match path.first().map(String::as_str) {
                Some("super") => {
                    path.remove(0);
                }
                _ => break,
            }
        }
        self.used.push(Used { path, line });
    }

    fn use_tree(&mut self, before: &[String], tree: &UseTree, line: usize) {
        let and = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.use_tree(&and(&path.ident), &path.tree, line),
            UseTree::Name(name) => self.push(and(&name.ident), line),
            UseTree::Rename(rename) => self.push(and(&rename.ident), line),
            UseTree::Glob(_) => self.push(before.to_vec(), line),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(before, tree, line)),
        }
    }

    /// Paths in what a macro is given, which nobody has parsed: names with `::` between them.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut colons, mut line) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end(&mut path, line);
                        line = name.span().start().line;
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(point) if point.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.end(&mut path, line);
                    self.tokens(group.stream());
                }
                _ => self.end(&mut path, line),
            }
        }
        self.end(&mut path, line);
    }

    fn end(&mut self, path: &mut Vec<String>, line: usize) {
        if path.len() > 1 {
            self.push(std::mem::take(path), line);
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_test(&module.attrs) {
            self.inside += 1;
            visit::visit_item_mod(self, module);
            self.inside -= 1;
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_test(&item.attrs) {
            self.use_tree(&[], &item.tree, item.use_token.span.start().line);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        // One name alone is something that stands in this file, or was imported.
        if names.len() > 1 {
            let line = path.segments.first().map_or(0, |first| first.ident.span().start().line);
            self.push(names, line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.tokens(invocation.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.tokens(list.tokens.clone());
    }

    /// `pub(super)` uses nothing.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        let module = path.trim_start_matches("src/").trim_end_matches(".rs");
        let module = if module == "lib" { Vec::new() } else { module.split('/').map(str::to_owned).collect() };
        Source::parse(PathBuf::from(path), module, text.to_owned()).unwrap()
    }

    fn pairs(sources: &[Source]) -> Vec<String> {
        let name = |path: &Path| path.strip_prefix("src").unwrap().display().to_string();
        of(sources).iter().map(|import| format!("{} {}", name(&import.from), name(&import.to))).collect()
    }

    #[test]
    fn every_way_to_name_a_module_is_an_import() {
        for (text, expected) in [
            ("use crate::a::{b, c::d};", &["x/y.rs a.rs", "x/y.rs a/c.rs"][..]),
            ("use crate::a::c;", &["x/y.rs a/c.rs"]),
            ("pub(crate) use crate::a::*;", &["x/y.rs a.rs"]),
            ("use crate::Status;", &["x/y.rs lib.rs"]),
            ("use super::Found;", &["x/y.rs x.rs"]),
            ("use super::super::a::b as other;", &["x/y.rs a.rs"]),
            ("fn f() { crate::a::c::d(); }", &["x/y.rs a/c.rs"]),
            ("fn f(_: &crate::a::B<super::Found>) {}", &["x/y.rs a.rs", "x/y.rs x.rs"]),
            ("fn f() { println!(\"{}\", crate::a::c::D); }", &["x/y.rs a/c.rs"]),
            ("fn f() { z::g(); }", &["x/y.rs x/y/z.rs"]),
            ("use z::g;", &["x/y.rs x/y/z.rs"]),
            ("mod inner { use super::super::Found; use super::g; }", &["x/y.rs x.rs"]),
            ("#[derive(Error)] #[error(\"{}\", crate::a::f(.0))] struct E(u8);", &["x/y.rs a.rs"]),
        ] {
            let rest =
                ["src/lib.rs", "src/a.rs", "src/a/c.rs", "src/x.rs", "src/x/y/z.rs"].map(|path| source(path, ""));
            let sources: Vec<Source> = rest.into_iter().chain([source("src/x/y.rs", text)]).collect();
            assert_eq!(pairs(&sources), expected, "{text}");
        }
    }

    #[test]
    fn declarations_other_crates_and_tests_are_none() {
        for text in [
            "mod z;",
            "use std::path::Path; use system::a::c;",
            "pub(super) fn f() {}",
            "#[cfg(test)] mod tests { use crate::a; }",
            "#[cfg(test)] use crate::a; #[cfg(test)] fn f() { crate::a::g(); } #[test] fn g() { crate::a::g(); }",
            "use self::E::F; enum E { F }",
        ] {
            let sources =
                [source("src/lib.rs", ""), source("src/a.rs", ""), source("src/x.rs", text), source("src/x/z.rs", "")];
            assert_eq!(pairs(&sources), [""; 0], "{text}");
        }
    }
}
