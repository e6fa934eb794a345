//! The storages of a site and what is on them.
use super::fields::{Fields, rows, whole};
use crate::base::vmid::Vmid;
use serde_json::Value;

/// A storage as one node sees it; sizes are bytes, 0 while it is not active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageRow {
    /// Name of the storage.
    pub storage: String,
    /// `dir`, `lvmthin`, `zfspool`, …
    pub kind: String,
    /// `images`, `import`, `iso`, …: sorted.
    pub content: Vec<String>,
    /// True when the node could activate it: its content can be read.
    pub active: bool,
    /// False when the site's administrator has disabled it.
    pub enabled: bool,
    /// True when several nodes see the same content.
    pub shared: bool,
    /// Its whole size.
    pub total: u64,
    /// Room in use.
    pub used: u64,
    /// Room that is left; not always `total` less `used`.
    pub avail: u64,
}

/// Sorted by name, and each content too: the server's own order is another one in each answer.
pub(super) fn storages(data: &Value) -> Result<Vec<StorageRow>, String> {
    let all = rows(data)?;
    let mut found: Vec<_> = all.iter().map(|r| Ok(row(r.need_text("storage")?, r))).collect::<Result<_, String>>()?;
    found.sort_by(|a: &StorageRow, b| a.storage.cmp(&b.storage));
    Ok(found)
}

pub(super) fn storage(data: &Value, name: &str) -> Result<StorageRow, String> {
    Ok(row(name.to_string(), &Fields::of(data)?))
}

fn row(storage: String, r: &Fields) -> StorageRow {
    let mut content = r.parts("content", &[',']);
    content.sort();
    StorageRow {
        storage,
        kind: r.text("type").unwrap_or_default(),
        content,
        active: r.flag("active"),
        // Older servers leave the field out for a storage that is not disabled.
        enabled: r.get("enabled").is_none() || r.flag("enabled"),
        shared: r.flag("shared"),
        total: r.number("total").unwrap_or_default(),
        used: r.number("used").unwrap_or_default(),
        avail: r.number("avail").unwrap_or_default(),
    }
}

/// A storage as `/etc/pve/storage.cfg` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// Name of the storage.
    pub storage: String,
    /// `dir`, `lvmthin`, `zfspool`, …
    pub kind: String,
    /// Volumes of a ZFS storage take only the room that is written.
    pub sparse: bool,
    /// Of storages that keep disks as files: `off`, `metadata`, `falloc` or `full`.
    pub preallocation: Option<String>,
}

pub(super) fn storage_configs(data: &Value) -> Result<Vec<StorageConfig>, String> {
    let row = |r: &Fields| {
        Ok(StorageConfig {
            storage: r.need_text("storage")?,
            kind: r.text("type").unwrap_or_default(),
            sparse: r.flag("sparse"),
            preallocation: r.text("preallocation"),
        })
    };
    rows(data)?.iter().map(row).collect()
}

impl StorageConfig {
    /// True when a new disk takes its whole size at once, and not only what is written to it (pve-storage, Plugin.pm
    /// and ZFSPoolPlugin.pm: a zvol reserves its size unless the storage is sparse).
    pub fn is_thick(&self) -> bool {
        match self.kind.as_str() {
            "lvm" | "iscsi" | "iscsidirect" => true,
            "zfspool" | "zfs" => !self.sparse,
            _ => matches!(self.preallocation.as_deref(), Some("falloc" | "full")),
        }
    }
}

/// A row of `GET /nodes/{node}/storage/{storage}/content`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// `STORAGE:NAME`: `local:import/talos.raw`, `local-lvm:vm-1001-disk-0`.
    pub volid: String,
    /// `raw`, `qcow2`, `iso`, ...; empty where the server does not say.
    pub format: String,
    /// Bytes; since 9.2 the server may leave it out.
    pub size: Option<u64>,
    /// `images`, `import`, `iso`, ...
    pub content: String,
    /// The guest that owns it; `None` for images to import and ISO files.
    pub vmid: Option<Vmid>,
}

pub(super) fn volumes(data: &Value) -> Result<Vec<Volume>, String> {
    let row = |r: &Fields| {
        Ok(Volume {
            volid: r.need_text("volid")?,
            format: r.text("format").unwrap_or_default(),
            size: r.number("size"),
            content: r.text("content").unwrap_or_default(),
            vmid: r.get("vmid").and_then(whole).and_then(|n| n.try_into().ok()),
        })
    };
    rows(data)?.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_of_storages_and_volumes_bear_missing_fields() {
        let s =
            &storages(&json!([{"storage": "local", "type": "dir", "content": "iso,import", "active": 1}])).unwrap()[0];
        assert!(s.active && s.enabled && !s.shared);
        assert_eq!(s.content, ["import", "iso"], "sorted");
        assert!(!storages(&json!([{"storage": "x", "enabled": 0}])).unwrap()[0].enabled);
        let v = &volumes(&json!([{"volid": "l:vm-1-disk-0", "vmid": "101", "content": "images"}])).unwrap()[0];
        assert_eq!((v.vmid, v.size), (Some(Vmid::of(101)), None));
        let configs = json!([
            {"storage": "a", "type": "zfspool"}, {"storage": "b", "type": "zfspool", "sparse": 1}, {"storage": "c", "type": "lvm"},
            {"storage": "d", "type": "dir", "preallocation": "full"}, {"storage": "e", "type": "lvmthin"},
        ]);
        let thick: Vec<bool> = storage_configs(&configs).unwrap().iter().map(StorageConfig::is_thick).collect();
        assert_eq!(thick, [true, false, true, true, false]);
    }
}
