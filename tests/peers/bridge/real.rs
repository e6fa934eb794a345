//! The real API server, by paths.
use cozyup::lab::kube::api::Kind;
use cozyup::lab::kube::store::Key;
use kube::Client;
use serde_json::Value;

/// What a server that says no says.
#[derive(Debug)]
pub struct No {
    pub code: u16,
    pub reason: String,
    pub message: String,
}

impl No {
    /// Nothing is wrong with what was asked: the server was busy, or the connection broke.
    pub fn is_passing(&self) -> bool {
        matches!(self.code, 0 | 429 | 500 | 502..=504)
    }
}

#[derive(Clone)]
pub struct Real {
    pub client: Client,
}

/// The path of an object, or of its kind in its namespace when `key` has no name.
pub fn path(kind: &Kind, key: &Key) -> String {
    let root = if kind.group.is_empty() { "/api" } else { "/apis" };
    let mut path = format!("{root}/{}", kind.api_version());
    if kind.namespaced && !key.namespace.is_empty() {
        path += &format!("/namespaces/{}", key.namespace);
    }
    path += &format!("/{}", kind.plural);
    if !key.name.is_empty() {
        path += &format!("/{}", key.name);
    }
    path
}

impl Real {
    pub async fn get(&self, path: &str) -> Result<Value, No> {
        self.ask("GET", path, "", &Value::Null).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, No> {
        self.ask("POST", path, "application/json", body).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, No> {
        self.ask("PUT", path, "application/json", body).await
    }

    pub async fn merge(&self, path: &str, patch: &Value) -> Result<Value, No> {
        self.ask("PATCH", path, "application/merge-patch+json", patch).await
    }

    /// At once: whoever deletes here has waited for what there was to wait for.
    pub async fn delete(&self, path: &str) -> Result<Value, No> {
        self.ask("DELETE", &format!("{path}?gracePeriodSeconds=0&propagationPolicy=Background"), "", &Value::Null).await
    }

    /// As anybody deletes: whatever holds the object has its time.
    pub async fn ask_to_delete(&self, path: &str) -> Result<Value, No> {
        self.ask("DELETE", &format!("{path}?propagationPolicy=Background"), "", &Value::Null).await
    }

    async fn ask(&self, method: &str, path: &str, content_type: &str, body: &Value) -> Result<Value, No> {
        let mut request = hyper::Request::builder().method(method).uri(path);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.client.request(request.body(body).unwrap()).await.map_err(|e| match e {
            kube::Error::Api(status) => {
                No { code: status.code, reason: status.reason.clone(), message: status.message.clone() }
            }
            other => No { code: 0, reason: String::new(), message: other.to_string() },
        })
    }
}
