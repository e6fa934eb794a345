//! capmox's requests to Proxmox VE: the very table of the lab's API, with the rights of the token in the cluster.
use crate::pve::api::Failure;
use crate::pve::{api, task};
use crate::world::World;
use serde_json::{Value, json};

/// The caller of these requests.
#[derive(Clone)]
pub struct Client {
    pub token: String,
    pub secret: String,
}

/// The state of a task.
pub enum Job {
    Running,
    Done,
    Failed(String),
    /// Proxmox VE knows no such task.
    Unknown,
}

impl Client {
    /// As the API takes a token: `user@realm!name=secret`.
    fn header(&self) -> String {
        format!("{}={}", self.token, self.secret)
    }

    pub fn ask(&self, world: &mut World, method: &str, path: &str, given: &[(&str, String)]) -> Result<Value, Failure> {
        api::inside(world, &self.header(), method, path, given)
    }

    /// Name of the storage on this node that takes ISO images: the first, as capmox chooses.
    pub fn iso_storage(&self, world: &mut World, node: &str) -> Result<String, String> {
        let path = format!("/nodes/{node}/storage");
        let all = self.ask(world, "GET", &path, &[]).map_err(|e| told(&e))?;
        let of =
            |s: &&Value| s["content"].as_str().is_some_and(|c| c.split(',').any(|c| c == "iso")) && s["enabled"] == 1;
        let found = all.as_array().into_iter().flatten().find(of).and_then(|s| s["storage"].as_str());
        found.map(str::to_string).ok_or_else(|| "no datastores found that support iso content".to_string())
    }

    pub fn upload_iso(
        &self,
        world: &mut World,
        node: &str,
        storage: &str,
        name: &str,
        image: Vec<u8>,
    ) -> Result<String, Failure> {
        api::upload_inside(world, &self.header(), node, storage, name, image)
    }
}

/// The text that capmox's client makes of a refusal (go-proxmox v0.4.0, `Req` and `handleResponse`).
pub fn told(failure: &Failure) -> String {
    match failure.status {
        401 | 403 => "not authorized to access endpoint".into(),
        400 => format!("bad request: 400 {} - {}", failure.message, json!(failure.errors)),
        status @ (500 | 501) => format!("{status} {}", failure.message),
        // The body is empty.
        _ => "unexpected end of JSON input".into(),
    }
}

pub fn job(world: &World, upid: &str) -> Job {
    match task::find(world, upid) {
        None => Job::Unknown,
        Some(found) => match &found.end {
            None => Job::Running,
            Some((_, exit)) if exit == "OK" => Job::Done,
            Some((_, exit)) => Job::Failed(exit.clone()),
        },
    }
}
