//! The small services: disks of the storage API, the clock.
use super::super::Machine;
use super::super::resource::{DiskKind, disk_list};
use super::{Node, timestamp};
use cozyup_talos_wire::{storage, time};
use tonic::{Request, Response, Status};

pub struct Storage(pub Node);

/// The reason why a disk or partition of the machine can't be wiped.
fn unfit(machine: &Machine, device: &str, used_too: bool) -> Option<Status> {
    let disks = disk_list(&machine.vm);
    let system = machine.vm.system_disk();
    let partition = device.strip_prefix(&system).is_some_and(|n| VOLUMES.iter().any(|(_, number)| n == *number));
    let Some(disk) = disks.iter().find(|d| d.name == device || (partition && d.system)) else {
        return Some(Status::not_found(format!("blockdevice {device:?} not found")));
    };
    if disk.readonly() {
        return Some(Status::failed_precondition(format!("blockdevice {device:?} is read-only")));
    }
    let volume = VOLUMES.iter().find(|(_, number)| device == disk.name || device == format!("{system}{number}"));
    volume.filter(|_| disk.system && !used_too).map(|(volume, _)| {
        Status::failed_precondition(format!("blockdevice {device:?} is in use by volume {volume:?}"))
    })
}

/// Volumes on the system disk, and the numbers of their partitions.
const VOLUMES: [(&str, &str); 3] = [("EPHEMERAL", "6"), ("META", "4"), ("STATE", "5")];

#[tonic::async_trait]
impl storage::storage_service_server::StorageService for Storage {
    async fn block_device_wipe(
        &self,
        request: Request<storage::BlockDeviceWipeRequest>,
    ) -> Result<Response<storage::BlockDeviceWipeResponse>, Status> {
        let (metadata, _, asked) = request.into_parts();
        self.0.each(
            &metadata,
            |messages| storage::BlockDeviceWipeResponse { messages },
            |vmid| {
                // Nothing is written on the lab's disks, so nothing has to be erased.
                let find = |machine: &Machine| {
                    asked.devices.iter().find_map(|d| unfit(machine, &d.device, d.skip_volume_check))
                };
                match self.0.read(vmid, |_, machine| find(machine))? {
                    Some(status) => Err(status),
                    None => Ok(storage::BlockDeviceWipe::default()),
                }
            },
        )
    }

    async fn disks(&self, request: Request<()>) -> Result<Response<storage::DisksResponse>, Status> {
        self.0.each(
            request.metadata(),
            |messages| storage::DisksResponse { messages },
            |vmid| {
                let disks = self.0.read(vmid, |_, machine| disk_list(&machine.vm))?;
                let disks = disks
                    .into_iter()
                    .map(|disk| storage::Disk {
                        size: disk.size,
                        model: disk.model().into(),
                        device_name: disk.path(),
                        name: String::new(),
                        serial: String::new(),
                        modalias: if disk.kind == DiskKind::Drive { "scsi:t-0x00".into() } else { String::new() },
                        r#type: match disk.kind {
                            DiskKind::Drive => storage::disk::DiskType::Hdd,
                            DiskKind::Cdrom => storage::disk::DiskType::Cd,
                            DiskKind::Loop => storage::disk::DiskType::Unknown,
                        }
                        .into(),
                        bus_path: disk.bus_path(),
                        system_disk: disk.system,
                        subsystem: "/sys/class/block".into(),
                        readonly: disk.readonly(),
                        ..Default::default()
                    })
                    .collect();
                Ok(storage::Disks { disks, ..Default::default() })
            },
        )
    }
}

pub struct Time(pub Node);

impl Time {
    fn now(&self, vmid: u32, server: &str) -> Result<time::Time, Status> {
        let server = match server {
            "" => self.0.read(vmid, |_, machine| machine.time_servers())?.into_iter().next().unwrap_or_default(),
            given => given.to_string(),
        };
        let now = Some(timestamp(self.0.lab.clock().now()));
        Ok(time::Time { metadata: None, server, localtime: now, remotetime: now })
    }
}

#[tonic::async_trait]
impl time::time_service_server::TimeService for Time {
    async fn time(&self, request: Request<()>) -> Result<Response<time::TimeResponse>, Status> {
        self.0.each(request.metadata(), |messages| time::TimeResponse { messages }, |vmid| self.now(vmid, ""))
    }

    async fn time_check(&self, request: Request<time::TimeRequest>) -> Result<Response<time::TimeResponse>, Status> {
        let (metadata, _, asked) = request.into_parts();
        self.0.each(&metadata, |messages| time::TimeResponse { messages }, |vmid| self.now(vmid, &asked.server))
    }
}
