//! `day0.image`: the Talos image and the CozyStack installer can be fetched, or the image is here already.
use super::{Check, of_jump_host, of_proxmox, proof};
use crate::base::text::{quoted, size};
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::steps::image::body::too_much;
use crate::steps::image::image_file;
use crate::steps::image::unpack;
use crate::steps::site::Reading;
use crate::steps::web;
use reqwest::Method;

pub const KIND: &str = "day0.image";

pub fn step(plan: &Plan) -> Check {
    let title = "the Talos image and the CozyStack installer can be fetched";
    let by_hand = [&plan.image.url, &plan.cozystack.installer_url].map(|url| web::curl(plan, "-sIL", url)).join("\n");
    Check::new(KIND, title, by_hand, |cx, site| Box::pin(look(cx, site))).of_proxmox()
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    // A storage that can't be read is told by day0.storages; the image can be fetched all the same.
    let stored = image_file::stored_everywhere(site).await.ok().flatten().unwrap_or_default();
    let mut readings: Vec<Evidence> = stored.iter().map(|answer| of_proxmox(cx, answer)).collect();
    let image = match image_file::cached(site) {
        _ if !readings.is_empty() => "the image is on the storage".to_string(),
        Some(known) => {
            let answer = format!("{} bytes, sha256 {}", known.size, known.sha256);
            let path = image_file::raw(site).display().to_string();
            readings.push(of_jump_host(cx, format!("stat {path}"), answer, format!("sha256sum {path}")));
            "the image is in the cache".to_string()
        }
        None => {
            let (length, reading) = head(cx, site, &site.plan.image.url, "image.url").await?;
            let Some(length) = length.filter(|l| *l > 0) else {
                return Err(Failure::person(
                    format!("{} answers without a length: it may be no file", site.plan.image.url),
                    "correct image.url in the plan, or name a mirror",
                ));
            };
            let folder = site.secrets.parent().unwrap_or(&site.secrets);
            // A folder that can't be looked at is told by day0.jump_host.
            let free = unpack::free(folder).unwrap_or(u64::MAX);
            if let Some(failure) = too_much(length, free) {
                return Err(failure);
            }
            readings.push(reading);
            format!("the image has {} to fetch", size(length))
        }
    };
    let (_, installer) = head(cx, site, &site.plan.cozystack.installer_url, "cozystack.installer_url").await?;
    proof(&format!("{image}; the installer can be fetched"), &[], readings.into_iter().chain([installer]).collect())
}

/// The length that the server tells, and the evidence.
async fn head(cx: &dyn Context, site: &Reading, url: &str, key: &str) -> Result<(Option<u64>, Evidence), Failure> {
    let response = web::ask(&site.web, Method::HEAD, url).await?;
    web::no_page(&response, url, key)?;
    let length = web::length(&response);
    let told = length.map_or_else(|| "no length".to_string(), |l| format!("{l} bytes"));
    let answer = format!("{}, {told}", response.status());
    Ok((length, of_jump_host(cx, format!("HEAD {url}"), answer, format!("curl -sIL {}", quoted(url)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::step::Step as _;
    use crate::steps::day0::tests::plan;
    use crate::steps::day1;

    /// A mirror's URL may carry a signature behind `?` and `&`.
    #[test]
    fn a_url_of_the_plan_is_one_word_of_the_command_by_hand() {
        let mut plan = plan();
        plan.image.url = "https://mirror.example/a.raw.xz?x=1&y=$(reboot)".into();
        plan.cozystack.installer_url = "https://mirror.example/b.yaml?x=1&y=2".into();
        let (look, fetch) = (step(&plan), day1::fetch::step(&plan));
        for by_hand in [&look.outline.by_hand, &fetch.outline().by_hand] {
            assert!(by_hand.contains(" 'https://mirror.example/a.raw.xz?x=1&y=$(reboot)'\n"), "{by_hand}");
        }
        assert!(look.outline.by_hand.ends_with(" 'https://mirror.example/b.yaml?x=1&y=2'"));
    }
}
