//! The files of a crate, found as the compiler finds them: by `mod` lines, tests left out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, Token};

/// A file of a crate.
pub(super) struct Source {
    /// From the crate's directory, like `src/read/config.rs`.
    pub(super) path: PathBuf,
    /// Its module, from the root of the crate: `["read", "config"]`.
    pub(super) module: Vec<String>,
    pub(super) text: String,
    pub(super) syntax: syn::File,
}

/// Reads the library, and the program beside it, which is a crate of its own and one file.
pub(super) fn read(crate_directory: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    read_module(crate_directory, "src/lib.rs".into(), Vec::new(), &mut sources)?;
    let main = PathBuf::from("src/main.rs");
    if crate_directory.join(&main).try_exists()? {
        let text = std::fs::read_to_string(crate_directory.join(&main)).context("src/main.rs")?;
        let main = Source::parse(main, vec!["main".to_owned()], text)?;
        ensure!(
            main.children().is_empty(),
            "src/main.rs has modules: they belong to the library, where tests reach them"
        );
        sources.push(main);
    }
    Ok(sources)
}

fn read_module(root: &Path, path: PathBuf, module: Vec<String>, sources: &mut Vec<Source>) -> Result<()> {
    let text = std::fs::read_to_string(root.join(&path)).with_context(|| path.display().to_string())?;
    let source = Source::parse(path, module, text)?;
    let children = source.children();
    let directory = source.path.parent().unwrap_or(Path::new("")).to_owned();
    let of_module = match source.path.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main" | "mod") => directory,
        Some(stem) => directory.join(stem),
        None => directory,
    };
    let own_module = source.module.clone();
    sources.push(source);
    for child in children {
        let in_own_file = of_module.join(format!("{child}.rs"));
        let path =
            if root.join(&in_own_file).try_exists()? { in_own_file } else { of_module.join(&child).join("mod.rs") };
        read_module(root, path, [own_module.clone(), vec![child]].concat(), sources)?;
    }
    Ok(())
}

impl Source {
    pub(super) fn parse(path: PathBuf, module: Vec<String>, text: String) -> Result<Source> {
        let syntax = syn::parse_file(&text).with_context(|| path.display().to_string())?;
        Ok(Source { path, module, text, syntax })
    }

    /// Modules that have files of their own. One inside of another module of the same file is not looked for.
    fn children(&self) -> Vec<String> {
        let modules = self.syntax.items.iter().filter_map(|item| match item {
            Item::Mod(module) if module.content.is_none() && !is_test(&module.attrs) => Some(module.ident.to_string()),
            _ => None,
        });
        modules.collect()
    }
}

/// Whether something is only there in tests.
pub(super) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return attribute.path().is_ident("test") };
        let words = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
        list.path.is_ident("cfg") && words.is_ok_and(|words| words.iter().any(|word| word.path().is_ident("test")))
    })
}
