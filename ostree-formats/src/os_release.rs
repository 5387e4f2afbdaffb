//! stub
#![allow(missing_docs)]
#[derive(Debug, Clone, Default)]
pub struct OsRelease {
    pub pretty_name: Option<String>,
    pub id: Option<String>,
}
impl OsRelease {
    pub fn parse(t: &str) -> Self {
        let g = |k: &str| {
            t.lines().find_map(|l| l.strip_prefix(k)?.strip_prefix('=')).map(|v| v.trim_matches('"').to_owned())
        };
        Self { pretty_name: g("PRETTY_NAME"), id: g("ID") }
    }
    pub fn title(&self) -> Option<&str> {
        self.pretty_name.as_deref().or(self.id.as_deref())
    }
}
