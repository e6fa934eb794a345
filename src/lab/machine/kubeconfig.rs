//! The admin kubeconfig as the Kubeconfig call streams it: gzip around a tar with one file.
use super::certificate::{self, Client};
use super::config::MachineConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cozyup_base::secret::Secret;
use jiff::Timestamp;

/// The kubeconfig of `admin`, signed by the Kubernetes CA of the config.
///
/// # Errors
/// When the CA cannot sign.
pub fn text(config: &MachineConfig, now: Timestamp) -> Result<String, String> {
    let key = config.kubernetes_ca.key.as_ref().ok_or("no Kubernetes CA key on this node")?;
    let admin = Client {
        name: Some("admin"),
        organizations: &["system:masters".to_string()],
        lasts: time::Duration::days(365),
    };
    let (crt, key) = certificate::client(&config.kubernetes_ca.crt, key, &admin, now).map_err(|e| e.to_string())?;
    Ok(of(&config.cluster_name, "admin", &config.endpoint, &config.kubernetes_ca.crt, (&crt, &key)))
}

/// The kubeconfig of a user of the cluster `name`, with certificate and key in it.
pub fn of(name: &str, user: &str, server: &str, ca: &str, (crt, key): (&str, &Secret<String>)) -> String {
    let encode = |pem: &str| STANDARD.encode(pem);
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    server: {server}\n    \
         certificate-authority-data: {}\nusers:\n- name: {user}@{name}\n  user:\n    client-certificate-data: {}\n    \
         client-key-data: {}\ncontexts:\n- context:\n    cluster: {name}\n    namespace: default\n    user: {user}@{name}\n  \
         name: {user}@{name}\ncurrent-context: {user}@{name}\n",
        encode(ca),
        encode(crt),
        encode(key.expose()),
    )
}

/// `content` as the file `kubeconfig` (mode 0600) in a tar that nobody closes, as Talos sends it, in gzip.
pub fn archive(content: &[u8]) -> Vec<u8> {
    let mut tar = header(content.len());
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
    gzip(&tar)
}

/// A ustar header.
fn header(size: usize) -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put = |at: usize, text: &[u8]| {
        if let Some(field) = header.get_mut(at..at + text.len()) {
            field.copy_from_slice(text);
        }
    };
    put(0, b"kubeconfig");
    put(100, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    // The checksum counts its own field as blanks.
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    let sum = format!("{sum:06o}\0 ");
    if let Some(field) = header.get_mut(148..156) {
        field.copy_from_slice(sum.as_bytes());
    }
    header
}

/// RFC 1952 with stored blocks: nothing is compressed.
fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks = data.len().div_ceil(0xffff).max(1);
    let mut rest = data;
    for block in 1..=blocks {
        let (chunk, left) = rest.split_at(rest.len().min(0xffff));
        let length = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        out.push(u8::from(block == blocks));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(chunk);
        rest = left;
    }
    out.extend_from_slice(&crc32(data).to_le_bytes());
    out.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    out
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_every_gzip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_archive_holds_one_private_file_and_no_end() {
        let archive = archive(b"hello");
        let tar = &archive[15..archive.len() - 8];
        assert_eq!(tar.len(), 1024, "one header, one block, no closing blocks");
        assert!(tar.starts_with(b"kubeconfig\0"));
        assert_eq!(&tar[100..107], b"0000600");
        assert_eq!(&tar[512..517], b"hello");
    }
}
