//! Files and functions that are too long to be read at once.

use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, ItemMod, Signature, TraitItemFn};

use super::sources::{Source, is_test};

/// Lines of a file, tests in it included.
const FILE: usize = 300;
/// Lines of a function, from its signature to the closing brace.
const FUNCTION: usize = 60;
/// What a comment says that gives a reason.
const REASON: &str = "// House: ";

pub(super) fn is_long(source: &Source) -> bool {
    source.text.lines().count() > FILE
}

/// What is wrong with a file that is long for no reason.
pub(super) fn long_file(source: &Source) -> Option<String> {
    let mut head = source.text.lines().take_while(|line| line.starts_with("//") || line.is_empty());
    if !is_long(source) || head.any(is_reason) {
        return None;
    }
    let lines = source.text.lines().count();
    Some(format!(
        "{}: {lines} lines, more than {FILE}: split it, or say why at its top ({REASON}…)",
        source.path.display()
    ))
}

/// Those of a file that are long for no reason.
pub(super) fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let without_reason = functions(source).into_iter().filter(Function::is_long).filter(|function| {
        let above = lines.iter().take(function.first_line.saturating_sub(1)).rev();
        !above
            .map(|line| line.trim_start())
            .take_while(|line| line.starts_with("//") || line.starts_with('#'))
            .any(is_reason)
    });
    without_reason
        .map(|Function { name, first_line, last_line }| {
            let (path, length) = (source.path.display(), last_line + 1 - first_line);
            format!("{path}:{first_line}: fn {name} has {length} lines, more than {FUNCTION}: split it, or say why above it ({REASON}…)")
        })
        .collect()
}

pub(super) fn count_of_long_functions(source: &Source) -> usize {
    functions(source).iter().filter(|function| function.is_long()).count()
}

fn is_reason(line: &str) -> bool {
    line.strip_prefix(REASON).is_some_and(|reason| !reason.trim().is_empty())
}

struct Function {
    name: String,
    first_line: usize,
    last_line: usize,
}

impl Function {
    fn is_long(&self) -> bool {
        self.last_line + 1 - self.first_line > FUNCTION
    }
}

fn functions(source: &Source) -> Vec<Function> {
    let mut collector = Collector::default();
    collector.visit_file(&source.syntax);
    collector.0
}

#[derive(Default)]
struct Collector(Vec<Function>);

impl Collector {
    fn push(&mut self, signature: &Signature, body: &Block) {
        let first_line = signature.fn_token.span.start().line;
        let last_line = body.brace_token.span.close().end().line;
        self.0.push(Function { name: signature.ident.to_string(), first_line, last_line });
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if !is_test(&function.attrs) {
            self.push(&function.sig, &function.block);
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !is_test(&function.attrs) {
            self.push(&function.sig, &function.block);
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            self.push(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::parse("src/x.rs".into(), vec!["x".to_owned()], text.to_owned()).unwrap()
    }

    fn of_length(lines: usize) -> String {
        format!("fn f() {{\n{}}}\n", "// x\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_has_60_lines_or_a_reason() {
        assert_eq!(long_functions(&source(&of_length(60))), [""; 0]);
        let long = of_length(61);
        let [finding] = &long_functions(&source(&format!("/// Doc.\n{long}")))[..] else { panic!("{long}") };
        assert!(finding.starts_with("src/x.rs:2: fn f has 61 lines"), "{finding}");
        for above in ["// House: a table.\n#[inline]\n", "/// Doc.\n// House: a table.\n", "#[cfg(test)]\n"] {
            assert_eq!(long_functions(&source(&format!("{above}{long}"))), [""; 0]);
        }
        for above in ["// House: \n", "// House: a table.\n\n", "// House: of another.\nconst A: u8 = 1;\n"] {
            assert_eq!(long_functions(&source(&format!("{above}{long}"))).len(), 1, "{above}");
        }
        assert_eq!(
            long_functions(&source(&format!("impl A {{\n{long}}}\n#[cfg(test)]\nmod tests {{\n{long}}}"))).len(),
            1
        );
    }

    #[test]
    fn a_file_has_300_lines_or_a_reason() {
        let lines = |count| "const A: u8 = 1;\n".repeat(count);
        assert_eq!(long_file(&source(&lines(300))), None);
        assert!(long_file(&source(&lines(301))).is_some());
        assert_eq!(long_file(&source(&format!("//! Doc.\n\n// House: one table.\n\n{}", lines(300)))), None);
        assert!(long_file(&source(&format!("{}// House: too late.\n", lines(300)))).is_some());
    }
}
