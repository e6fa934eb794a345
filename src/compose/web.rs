//! The HTTP clients of a site: for its own addresses, and for servers outside of it.
use super::registries;
use crate::plan::model::Plan;
use crate::steps::web::Web;
use std::time::Duration;

/// For addresses of the cluster.
///
/// # Errors
/// When the authorities of the plan can't be used.
pub(super) fn http_client(plan: &Plan) -> Result<reqwest::Client, reqwest::Error> {
    client(plan).build()
}

/// For servers outside of the site, through the plan's proxy.
///
/// # Errors
/// When the authorities or the proxy of the plan can't be used.
pub fn web(plan: &Plan) -> Result<Web, reqwest::Error> {
    let Some(proxy) = &plan.network.proxy else { return Ok(Web::new(client(plan).build()?, None)) };
    let past = reqwest::NoProxy::from_string(&plan.past_proxy().join(","));
    let through = reqwest::Proxy::all(proxy)?.no_proxy(past);
    Ok(Web::new(client(plan).proxy(through).build()?, Some(proxy.clone())))
}

fn client(plan: &Plan) -> reqwest::ClientBuilder {
    // A redirect is an answer here: the ingress is asked for what it says, not for where it leads.
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tls_certs_merge(registries::authorities(plan))
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(60))
}
