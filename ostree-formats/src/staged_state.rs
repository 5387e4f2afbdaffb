//! stub
#![allow(missing_docs)]
use crate::bootlink::Bootcsum;
use crate::deployment::{Checksum, DeploymentPath};
use gvariant::aligned_bytes::copy_to_align;
use gvariant::{Marker, Structure, gv};
use std::collections::BTreeMap;
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedTarget {
    pub deployment: DeploymentPath,
    pub bootcsum: Bootcsum,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedState {
    pub target: StagedTarget,
    pub merge_deployment: Option<DeploymentPath>,
    pub kargs: Option<Vec<String>>,
    pub overlay_initrds: Vec<Checksum>,
    pub bootconfig_extra: BTreeMap<String, String>,
    pub locked: bool,
}
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StagedStateError(String);
impl StagedState {
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StagedStateError> {
        let e = |s: &str| StagedStateError(s.to_owned());
        let al = copy_to_align(bytes);
        let d = gv!("a{sv}").cast(al.as_ref());
        let value = |w: &str| d.iter().map(|e| e.to_tuple()).find(|(k, _)| k.to_str() == w).map(|(_, v)| v);
        let t = value("target").and_then(|v| v.get(gv!("a{sv}"))).ok_or_else(|| e("no target"))?;
        let get = |key: &str| {
            t.iter()
                .map(|e| e.to_tuple())
                .find(|(k, _)| k.to_str() == key)
                .and_then(|(_, v)| v.get(gv!("s")))
                .map(|s| s.to_str().to_owned())
        };
        let path = |os: &str, name: &str| {
            format!("ostree/deploy/{os}/deploy/{name}").parse::<DeploymentPath>().map_err(|x| e(&x.to_string()))
        };
        let target = StagedTarget {
            deployment: path(&get("osname").ok_or_else(|| e("osname"))?, &get("name").ok_or_else(|| e("name"))?)?,
            bootcsum: get("bootcsum").ok_or_else(|| e("bootcsum"))?.parse().map_err(|_| e("bootcsum"))?,
        };
        let merge_deployment = match value("merge-deployment").and_then(|v| v.get(gv!("a{sv}"))) {
            Some(t) => {
                let get = |key: &str| {
                    t.iter()
                        .map(|e| e.to_tuple())
                        .find(|(k, _)| k.to_str() == key)
                        .and_then(|(_, v)| v.get(gv!("s")))
                        .map(|s| s.to_str().to_owned())
                };
                Some(path(&get("osname").ok_or_else(|| e("osname"))?, &get("name").ok_or_else(|| e("name"))?)?)
            }
            None => None,
        };
        let strs = |k: &str| {
            value(k).and_then(|v| v.get(gv!("as"))).map(|a| a.iter().map(|s| s.to_str().to_owned()).collect::<Vec<_>>())
        };
        Ok(Self {
            target,
            merge_deployment,
            kargs: strs("kargs"),
            overlay_initrds: strs("overlay-initrds")
                .unwrap_or_default()
                .iter()
                .filter_map(|s| s.parse().ok())
                .collect(),
            bootconfig_extra: value("bootconfig-extra")
                .and_then(|v| v.get(gv!("a{ss}")))
                .map(|d| {
                    d.iter()
                        .map(|e| {
                            let (k, v) = e.to_tuple();
                            (k.to_str().to_owned(), v.to_str().to_owned())
                        })
                        .collect()
                })
                .unwrap_or_default(),
            locked: value("locked").and_then(|v| v.get(gv!("b"))).is_some_and(|b| b.to_bool()),
        })
    }
}
