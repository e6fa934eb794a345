//! Copies side by side: what they share, and what a storage's lock and a template's lock keep apart.
use super::*;

fn site(streams: f64, allocate_s: f64) -> Site {
    Site::new(|scenario| {
        scenario.proxmox.storages.iter_mut().for_each(|storage| storage.streams = streams);
        scenario.latency.allocate_s = allocate_s;
    })
}

/// Lab seconds from now until each of them has ended.
async fn ends(site: &Site, upids: &[String]) -> Vec<f64> {
    let mut ends = vec![0.0; upids.len()];
    for step in 1..2000 {
        wait(0.1).await;
        for (upid, end) in upids.iter().zip(&mut ends) {
            if *end == 0.0 && site.state(upid)["status"] == "stopped" {
                *end = f64::from(step) / 10.0;
            }
        }
    }
    ends
}

impl Site {
    /// Begins to upload a disk image of this name; the task.
    pub(super) fn upload(&self, name: &str) -> String {
        let file = upload::Received {
            size: IMAGE,
            sha256: "ab".repeat(32),
            checksum: None,
            bytes: None,
            qcow2: false,
            disk: IMAGE,
        };
        let params = [("content", "import"), ("filename", name)];
        let upid = self.ask_with("POST", "/nodes/pve/storage/local/upload", &params, Some(file)).unwrap();
        upid.as_str().unwrap().to_string()
    }
}

fn near(ends: &[f64], expected: &[f64]) {
    let is_near = ends.len() == expected.len() && ends.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.25);
    assert!(is_near, "{ends:?}, expected {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn full_clones_of_a_template_run_side_by_side() {
    let site = Site::standard();
    site.template().await;
    let (first, second) = (site.clone_to("1001", "a"), site.clone_to("1002", "b"));
    wait(22.0).await;
    assert_eq!((&site.state(&first)["status"], &site.state(&second)["status"]), (&"running".into(), &"running".into()));
    wait(3.0).await;
    assert_eq!((&site.state(&first)["exitstatus"], &site.state(&second)["exitstatus"]), (&"OK".into(), &"OK".into()));
}

/// Each clone allocates for a second, one behind the other, and copies for 22 s when it is alone.
#[tokio::test(start_paused = true)]
async fn clones_share_the_bandwidth_of_their_storage() {
    let all = |site: &Site| ["1001", "1002"].map(|newid| site.clone_to(newid, "a"));
    let one = site(1.0, 1.0);
    one.template().await;
    near(&ends(&one, &[one.clone_to("1000", "alone")]).await, &[23.4]);
    // The first has the disks for itself for one second, and then shares them until it is done.
    near(&ends(&one, &all(&one)).await, &[44.4, 45.4]);
    let two = site(2.0, 1.0);
    two.template().await;
    near(&ends(&two, &all(&two)).await, &[23.4, 24.4]);
}

/// What a clone leaves undone leaves its bandwidth to the others.
#[tokio::test(start_paused = true)]
async fn a_clone_that_is_stopped_leaves_its_bandwidth_to_the_others() {
    let site = site(1.0, 0.0);
    site.template().await;
    let (kept, stopped) = (site.clone_to("1001", "a"), site.clone_to("1002", "b"));
    wait(10.4).await;
    site.ask("DELETE", &format!("/nodes/pve/tasks/{stopped}"), &[]).unwrap();
    near(&ends(&site, &[kept]).await, &[17.0]);
}

#[tokio::test(start_paused = true)]
async fn the_progress_of_a_clone_follows_its_pace_and_each_line_is_told_once() {
    let site = site(1.0, 0.0);
    site.template().await;
    let first = site.clone_to("1001", "a");
    wait(11.4).await;
    let percent = |upid: &str| {
        let log = site.log(upid);
        let shown = log.iter().filter_map(|line| line.split_once('(')?.1.split_once("%)")?.0.parse::<f64>().ok());
        shown.collect::<Vec<f64>>()
    };
    assert!((percent(&first).last().unwrap() - 50.0).abs() < 1.5, "{:?}", percent(&first));
    let second = site.clone_to("1002", "b");
    wait(11.4).await;
    assert!((percent(&first).last().unwrap() - 75.0).abs() < 2.5, "{:?}", percent(&first));
    assert!((percent(&second).last().unwrap() - 25.0).abs() < 2.5, "{:?}", percent(&second));
    assert_eq!((site.end(&first).await, site.end(&second).await), ("OK".into(), "OK".into()));
    for upid in [first, second] {
        let told = percent(&upid);
        assert!(told.windows(2).all(|pair| pair[0] < pair[1]) && told.last() == Some(&100.0), "{told:?}");
    }
}

/// pve-storage waits ten seconds for the lock; the copying itself holds none.
#[tokio::test(start_paused = true)]
async fn of_clones_begun_together_those_that_get_the_lock_too_late_fail_and_leave_nothing() {
    let site = site(10.0, 6.0);
    site.template().await;
    let clones = ["1001", "1002", "1003"].map(|newid| site.clone_to(newid, "a"));
    near(&ends(&site, &clones).await, &[28.4, 34.4, 10.4]);
    let why = site.end(&clones[2]).await;
    assert!(why.starts_with("clone failed: can't lock file") && why.ends_with("- got timeout"), "{why}");
    assert!(site.ask("GET", "/nodes/pve/qemu/1003/config", &[]).is_err());
    let content = site.get("/nodes/pve/storage/local-lvm/content").to_string();
    assert!(content.contains("vm-1002-disk-0") && !content.contains("vm-1003"), "{content}");
}

/// qemu-server, `clone_vm`: the source is locked shared until the task ends, so that clones run side by side and nothing
/// changes the template meanwhile.
#[tokio::test(start_paused = true)]
async fn a_template_is_not_changed_while_it_is_cloned() {
    let site = site(2.0, 1.0);
    site.template().await;
    let clone = site.clone_to("1001", "a");
    wait(5.0).await;
    let refused = site.ask("PUT", "/nodes/pve/qemu/9100/config", &[("cores", "4")]).unwrap_err().message;
    assert_eq!(refused, "can't lock file '/var/lock/qemu-server/lock-9100.conf' - got timeout");
    let destroyed = site.start("DELETE", "/nodes/pve/qemu/9100", &[]);
    let why = site.end(&destroyed).await;
    assert!(why.ends_with("lock-9100.conf' - got timeout"), "{why}");
    assert_eq!(site.end(&clone).await, "OK");
    site.ask("PUT", "/nodes/pve/qemu/9100/config", &[("cores", "4")]).unwrap();
}

#[tokio::test(start_paused = true)]
async fn uploads_through_one_node_share_its_line() {
    let site = Site::standard();
    near(&ends(&site, &[site.upload("a.raw")]).await, &[15.0]);
    near(&ends(&site, &[site.upload("b.raw"), site.upload("c.raw")]).await, &[30.0, 30.0]);
}
