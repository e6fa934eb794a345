use super::*;

#[test]
fn a_node_that_the_server_can_not_reach_is_named() {
    let url = Url::parse("https://a:8006/api2/json/nodes/pve2/tasks/UPID%3Ax/status").unwrap();
    let node = node_of(&url);
    let busy = |status| Error::Busy { status: Some(status), text: "No route to host".to_string() };
    let told = behind("https://a:8006", node.as_deref(), busy(595)).to_string();
    assert_eq!(told, "https://a:8006 can't reach node pve2: No route to host");
    assert!(behind("https://a:8006", node.as_deref(), busy(596)).to_string().contains("no answer from node pve2"));
    assert_eq!(behind("https://a:8006", node.as_deref(), busy(503)), busy(503));
    assert_eq!(node_of(&Url::parse("https://a:8006/api2/json/version").unwrap()), None);
}

#[test]
fn evidence_hides_what_is_secret() {
    let target = Target {
        url: "https://pve:8006".parse().unwrap(),
        token_id: "a@pve!t".to_string(),
        secret: Secret::new("s3cr3t".to_string()),
        trust: Trust::Leaf(crate::base::tls::Fingerprint::of(b"x")),
    };
    let shown = format!("{target:?}");
    let connection = Connection::new(target).unwrap();
    let kept = connection.evidence(&serde_json::json!({"a": [{"cipassword": "hunter2"}], "b": "x s3cr3t y"}));
    assert_eq!(kept, r#"{"a":[{"cipassword":"[secret]"}],"b":"x [secret] y"}"#);
    for text in [shown, format!("{connection:?}")] {
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}
