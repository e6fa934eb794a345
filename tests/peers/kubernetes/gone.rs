//! What is too old: 410, and what our client makes of it. Runs alone, since it takes the history from everybody.
use super::cluster::{Cluster, MERGE, PATIENCE, text};
use super::list::maps;
use cozyup::kubernetes::Kind;
use serde_json::{Value, json};

pub async fn what_history_left_behind_is_gone_and_our_client_lists_anew(cluster: &Cluster) {
    let path = maps(cluster, "gone", &["a", "b", "c"]).await;
    let page = cluster.get(&format!("{path}?limit=1")).await.ok();
    let (token, old) = (text(&page, "/metadata/continue"), text(&page, "/metadata/resourceVersion").to_string());
    let untouched = text(&cluster.get(&format!("{path}/b")).await.ok(), "/metadata/resourceVersion").to_string();
    cluster.patch(&format!("{path}/a"), MERGE, json!({"data": {"k": "2"}})).await.ok();
    cluster.forget().await;

    let said = cluster.get(&format!("{path}?limit=1&continue={token}")).await;
    let (code, reason, message) = said.refusal();
    assert_eq!((code, reason), (410, "Expired"));
    let start = "The provided continue parameter is too old to display a consistent list result.";
    assert!(message.starts_with(start), "{message}");
    // With the token of the refusal a client that can bear it reads on from there.
    let rest = cluster.get(&format!("{path}?limit=9&continue={}", said.text("/metadata/continue"))).await.ok();
    let names: Vec<&str> = rest["items"].as_array().unwrap().iter().map(|i| text(i, "/metadata/name")).collect();
    assert_eq!(&names[..2], ["b", "c"]);

    let said = cluster.get(&format!("{path}?resourceVersion={old}&resourceVersionMatch=Exact")).await;
    assert_eq!(said.refusal(), (410, "Expired", "The resourceVersion for the provided list is too old."));

    // The first version of all is older than any server's memory.
    let mut watch = cluster.watch(&format!("{path}?watch=1&resourceVersion=1"), &[]).await;
    let line = watch.next().await.unwrap();
    assert_eq!(
        json!([line["type"], line["object"]["code"], line["object"]["reason"]]),
        json!(["ERROR", 410, "Expired"])
    );
    assert!(text(&line, "/object/message").starts_with("too old resource version: 1 ("), "{line}");
    assert!(watch.next().await.is_none(), "that was its last word");

    let listed = cluster.reader.list_versioned(&Kind::CONFIG_MAP, Some("gone"), None).await.unwrap();
    assert!(listed.value.items.len() >= 3);
    // From such a version an object that nobody touched is still waited for, and a change from before ends the wait.
    let waiting = tokio::spawn({
        let reader = cluster.reader.clone();
        let since = untouched.clone();
        async move { reader.wait_for_change(&Kind::CONFIG_MAP, Some("gone"), Some("b"), Some(&since), PATIENCE).await }
    });
    let changed = cluster.reader.wait_for_change(&Kind::CONFIG_MAP, Some("gone"), Some("a"), Some("1"), PATIENCE);
    changed.await.unwrap();
    assert!(!waiting.is_finished(), "b did not change");
    cluster.delete(&format!("{path}/b"), Value::Null).await.ok();
    tokio::time::timeout(PATIENCE, waiting).await.expect("it heard of the deletion").unwrap().unwrap();
}
