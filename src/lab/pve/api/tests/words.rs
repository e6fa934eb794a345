//! Words and lines of logs as Proxmox VE's own servers have them.
use super::*;

/// proxmox.md part 1, section 4: words and lines that the lab did not have.
#[tokio::test(start_paused = true)]
async fn volumes_that_a_storage_can_not_have_and_files_that_are_no_images_are_refused_in_proxmoxs_words() {
    let site = Site::standard();
    site.done("POST", "/nodes/pve/qemu", &[("vmid", "700")]).await;
    let at_once = site.ask("POST", "/nodes/pve/qemu/700/config", &[("scsi1", "local-lvm:abc")]).unwrap_err();
    assert_eq!((at_once.status, at_once.message.as_str()), (500, "unable to parse lvm volume name 'abc'"));
    let gone = site.start("DELETE", "/nodes/pve/storage/local-lvm/content/vm-4444-disk-0", &[]);
    assert!(gone.contains(":imgdel:4444@local-lvm:"), "{gone}");
    let upload = |content: &str, name: &str, qcow2: bool| {
        let file = upload::Received { size: 9, sha256: "cd".repeat(32), checksum: None, bytes: None, qcow2, disk: 9 };
        let params = [("content", content), ("filename", name)];
        site.ask_with("POST", "/nodes/pve/storage/local/upload", &params, Some(file))
    };
    assert_eq!(
        upload("nonsense", "a.raw", false).unwrap_err().errors["content"],
        "invalid format - invalid content type 'nonsense'\n"
    );
    assert_eq!(
        upload("images", "a.raw", false).unwrap_err().errors["content"],
        "value 'images' does not have a value in the enumeration 'iso, vztmpl, import'"
    );
    let none = upload("import", "a.qcow2", false).unwrap();
    let why = site.end(text(&none)).await;
    assert!(
        why.starts_with("qemu-img: Could not open '/var/tmp/pveupload-")
            && why.ends_with("Image is not in qcow2 format"),
        "{why}"
    );
    let fine = upload("import", "a.qcow2", true).unwrap();
    assert_eq!(site.end(text(&fine)).await, "OK");
}

#[tokio::test(start_paused = true)]
async fn tasks_say_what_lvm_and_qemu_img_say_in_them() {
    let site = Site::standard();
    site.image().await;
    let create = site.start("POST", "/nodes/pve/qemu", &TEMPLATE);
    assert_eq!(site.end(&create).await, "OK");
    let said = site.log(&create);
    assert!(said.contains(&"create full clone of drive (local:import/talos.raw)".to_string()), "{said:?}");
    // 1246 MiB are no whole number of extents.
    assert!(said.contains(&"  Rounding up size to full physical extent 1.22 GiB".to_string()), "{said:?}");
    assert!(said.last().is_some_and(|l| l == "TASK OK") && said.iter().any(|l| l.ends_with("size=1248M,ssd=1'")));
    let template = site.start("POST", "/nodes/pve/qemu/9100/template", &[]);
    assert_eq!(site.end(&template).await, "OK");
    assert!(site.log(&template).contains(&"  Logical volume pve/base-9100-disk-0 changed.".to_string()));
    let clone = site.clone_to("1001", "cp1");
    assert_eq!(site.end(&clone).await, "OK");
    assert!(site.log(&clone).contains(&"  Logical volume \"vm-1001-disk-0\" created.".to_string()));
    let config = site.start("POST", "/nodes/pve/qemu/1001/config", &[("scsi1", "local-lvm:8")]);
    assert_eq!(site.end(&config).await, "OK");
    let said = site.log(&config);
    assert!(
        said.iter().any(|l| l.starts_with("scsi1: successfully created disk 'local-lvm:vm-1001-disk-")),
        "{said:?}"
    );
    let resize = site.start("PUT", "/nodes/pve/qemu/1001/resize", &[("disk", "scsi0"), ("size", "50G")]);
    assert_eq!(site.end(&resize).await, "OK");
    let said = site.log(&resize);
    assert!(said.contains(&"  Logical volume pve/vm-1001-disk-0 successfully resized.".to_string()), "{said:?}");
    assert!(said[0].ends_with("to 50.00 GiB (12800 extents)."), "{said:?}");
}

/// proxmox.md part 1, section 4: a volume is made under the lock of its storage, whoever else is about it says that it waits.
#[tokio::test(start_paused = true)]
async fn who_finds_the_lock_of_a_storage_taken_says_so_and_nobody_waits_for_itself() {
    let site = Site::standard();
    site.template().await;
    let clones = [site.clone_to("1001", "cp1"), site.clone_to("1002", "cp2")];
    for clone in &clones {
        assert_eq!(site.end(clone).await, "OK");
    }
    let waited: Vec<bool> = clones
        .iter()
        .map(|clone| site.log(clone).windows(2).any(|w| w == ["trying to acquire lock...", " OK"]))
        .collect();
    assert_eq!(waited, [false, true], "{:?}", clones.map(|clone| site.log(&clone)));
}

/// proxmox.md 2.1: nobody but root learns that a user is not there by asking for its tokens.
#[tokio::test(start_paused = true)]
async fn tokens_of_a_user_that_is_not_there_are_refused_barely_and_its_absence_is_seen_among_the_users() {
    let site = Site::standard();
    for (method, path) in [("GET", ""), ("POST", "/capi"), ("DELETE", "/capi")] {
        let refused = site.ask(method, &format!("/access/users/nobody@pve/token{path}"), &[]).unwrap_err();
        assert_eq!((refused.status, refused.message.as_str()), (403, "Permission check failed"), "{method}");
    }
    let users = site.get("/access/users");
    assert!(users.as_array().unwrap().iter().all(|u| u["userid"] != "nobody@pve"), "{users}");
}

/// proxmox.md 2.9: the log of a task that is gone.
#[tokio::test(start_paused = true)]
async fn the_log_of_a_task_that_is_gone_is_a_list_only_since_9() {
    let site = Site::standard();
    let log = || {
        let upid = "UPID:pve:0000C350:05F5E100:68FB0C11:imgcopy::cozyup@pve!installer:";
        site.get(&format!("/nodes/pve/tasks/{upid}/log"))
    };
    assert_eq!(log()[0]["t"], "unable to open file - No such file or directory");
    site.lab.with(|world| world.pve.version = crate::pve::Version(8, 4, 1));
    assert_eq!(log()["t"], "unable to open file - No such file or directory");
}

#[tokio::test(start_paused = true)]
async fn groups_are_made_and_removed_in_proxmoxs_words_and_running_vms_of_9_show_their_pressure() {
    let site = Site::standard();
    site.ask("POST", "/access/groups", &[("groupid", "admins"), ("comment", "all of them")]).unwrap();
    let twice = site.ask("POST", "/access/groups", &[("groupid", "admins")]).unwrap_err().message;
    assert_eq!(twice, "create group failed: group 'admins' already exists");
    assert_eq!(site.get("/access/groups")[0]["comment"], "all of them");
    site.ask("POST", "/access/users", &[("userid", "x@pve"), ("groups", "admins")]).unwrap();
    site.ask("DELETE", "/access/groups/admins", &[]).unwrap();
    let gone = site.ask("DELETE", "/access/groups/admins", &[]).unwrap_err().message;
    assert_eq!(gone, "delete group failed: group 'admins' does not exist");
    let row = site.get("/nodes/pve/qemu/150/status/current");
    assert!(row["memhost"].is_u64() && row["pressurecpusome"].is_u64(), "{row}");
}

#[tokio::test(start_paused = true)]
async fn a_bridge_that_is_not_there_is_noticed_at_the_start() {
    let site = Site::standard();
    site.done("POST", "/nodes/pve/qemu", &[("vmid", "700"), ("net0", "virtio,bridge=vmbr9")]).await;
    let start = site.start("POST", "/nodes/pve/qemu/700/status/start", &[]);
    // The task's end names no reason; its log does.
    assert_eq!(site.end(&start).await, "start failed: QEMU exited with code 1");
    assert!(site.log(&start).contains(&"bridge 'vmbr9' does not exist".to_string()), "{:?}", site.log(&start));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_there_fails_the_create_and_leaves_nothing() {
    let site = Site::standard();
    let upid = site.start("POST", "/nodes/pve/qemu", &TEMPLATE);
    let why = site.end(&upid).await;
    assert_eq!(why, "unable to create VM 9100 - failed to stat '/var/lib/vz/import/talos.raw'");
    assert!(site.ask("GET", "/nodes/pve/qemu/9100/config", &[]).is_err());
    let left = site.get("/nodes/pve/storage/local-lvm/content");
    assert_eq!(left, serde_json::json!([]));
}

/// proxmox.md part 1, section 4; part 2, sections 1, 2.5 and 4.
#[tokio::test(start_paused = true)]
async fn values_have_perls_types_and_what_stands_on_a_vm_goes_with_it() {
    let site = Site::standard();
    site.template().await;
    assert!(site.get("/nodes/pve/storage/local-lvm/content")[0]["ctime"].is_string());
    assert!(site.get("/nodes/pve/storage/local/content")[0]["ctime"].is_i64());
    site.ask("POST", "/access/users", &[("userid", "x@pve")]).unwrap();
    let made = site.ask("POST", "/access/users/x@pve/token/t1", &[("privsep", "0")]).unwrap();
    assert_eq!(made["info"]["privsep"], "0");
    assert_eq!(site.ask("POST", "/access/users", &[("userid", "noreal")]).unwrap_err().status, 500);
    let content = site.ask("GET", "/nodes/pve/storage/local/content", &[("content", "nonsense")]).unwrap_err();
    assert_eq!(content.status, 400);
    assert!(site.get("/nodes/pve/dns")["dns1"].is_string() && site.get("/nodes/pve/hosts")["data"].is_string());
    let network = site.get("/nodes/pve/network");
    assert!(network.as_array().unwrap().iter().all(|row| row.get("exists").is_none_or(|e| !e.is_null())), "{network}");

    site.ask("PUT", "/access/acl", &[("path", "/vms/9100"), ("roles", "PVEVMUser"), ("users", "x@pve")]).unwrap();
    let entries = || site.get("/access/acl").to_string();
    assert!(entries().contains("/vms/9100"));
    site.done("DELETE", "/nodes/pve/qemu/9100", &[]).await;
    assert!(!entries().contains("/vms/9100"), "{}", entries());
}
