//! `day0.jump_host`: this machine can keep the run's state, has room for the image, and may open enough files.
use super::{Check, of_jump_host, proof};
use crate::base::text::size;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::steps::image::image_file;
use crate::steps::site::Reading;
use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

pub const KIND: &str = "day0.jump_host";
const GIB: u64 = 1 << 30;
/// Packed image, raw image, and as much again for the journal, logs and what else lives there.
const COMFORTABLE: u64 = 6 * GIB;
/// With less the raw image does not fit beside the packed one.
const NEEDED: u64 = 3 * GIB;
/// Once the image is made, the journal and the secrets are all that still grows.
const NEEDED_LATER: u64 = GIB / 4;
/// Connections, watches, files; the usual limit is 1024.
const OPEN_FILES: u64 = 256;

pub fn step(_plan: &Plan) -> Check {
    let title = "the jump host can keep the run's state and the image";
    Check::new(KIND, title, "df -h STATE-FOLDER\nulimit -n", |cx, site| Box::pin(look(cx, site)))
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    // The secrets folder is made when the run opens; the cache only when something is fetched.
    let folder = site.secrets.parent().unwrap_or(&site.secrets);
    let shown = folder.display();
    let unusable = |e: rustix::io::Errno| {
        Failure::person(
            format!("the state folder {shown} can't be used: {e}"),
            format!("chmod u+rwx {shown}, or give another folder with --state-dir DIR"),
        )
    };
    access(folder, Access::WRITE_OK | Access::READ_OK | Access::EXEC_OK).map_err(unusable)?;
    let disk = statvfs(folder).map_err(unusable)?;
    if disk.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(unusable(rustix::io::Errno::ROFS));
    }
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = open_files(&limits);
    let mut remarks = Vec::new();
    let made = image_file::known(site).is_some();
    let needed = if made { NEEDED_LATER } else { NEEDED };
    if free < needed {
        return Err(Failure::person(
            format!("only {} are free in {shown}, and {} are needed", size(free), size(needed)),
            "make room there, or give another folder with --state-dir DIR",
        ));
    }
    if free < COMFORTABLE && !made {
        remarks.push(format!("{} would be comfortable", size(COMFORTABLE)));
    }
    if let Some(files) = files.filter(|f| *f < OPEN_FILES) {
        return Err(Failure::person(
            format!("this process may open only {files} files, and {OPEN_FILES} are needed"),
            "ulimit -n 4096, then run again",
        ));
    }
    let files = files.map_or_else(|| "unknown".to_string(), |f| f.to_string());
    let answer = format!("writable, {free} bytes free, open files: at most {files}");
    let by_hand = format!("df -B1 {shown}; ulimit -n");
    let reading = of_jump_host(cx, format!("statvfs {shown}, /proc/self/limits"), answer, by_hand);
    proof(&format!("{shown} is writable with {} free, {files} open files allowed", size(free)), &remarks, vec![reading])
}

/// The soft limit; `None` when it is unlimited or can't be told.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|l| l.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max processes             7823                 7823                 processes\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files("Max open files            unlimited            unlimited            files"), None);
        assert_eq!(open_files(""), None);
    }
}
