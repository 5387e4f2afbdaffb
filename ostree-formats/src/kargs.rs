//! stub
#![allow(missing_docs)]
use std::fmt;
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelArguments(Vec<String>);
impl KernelArguments {
    pub fn parse(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_owned).collect())
    }
    pub fn from_words(w: impl IntoIterator<Item = String>) -> Self {
        Self(w.into_iter().collect())
    }
    pub fn words(&self) -> &[String] {
        &self.0
    }
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find_map(|w| w.strip_prefix(key)?.strip_prefix('='))
    }
    pub fn set(&mut self, key: &str, value: &str) {
        let p = format!("{key}=");
        let new = format!("{key}={value}");
        if let Some(i) = self.0.iter().position(|w| w.starts_with(&p)) {
            let mut n = 0;
            self.0.retain(|w| {
                n += 1;
                !w.starts_with(&p) || n - 1 == i
            });
            if let Some(w) = self.0.get_mut(i) {
                *w = new;
            }
        } else {
            self.0.push(new);
        }
    }
    pub fn remove(&mut self, key: &str, _: Option<&str>) {
        let p = format!("{key}=");
        self.0.retain(|w| !w.starts_with(&p));
    }
    pub fn without_ostree(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).filter(|w| !w.starts_with("ostree=")).collect()
    }
}
impl fmt::Display for KernelArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}
