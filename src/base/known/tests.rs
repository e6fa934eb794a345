use super::*;
use proptest::prelude::*;

/// A value that no other test has.
fn value(seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..36).map(|_| random.alphanumeric()).collect()
}

#[test]
fn a_value_is_hidden_as_it_is_cut_quoted_and_in_every_encoding() {
    let secret = value(1) + "/\"+=";
    remember(secret.as_bytes());
    let long = format!("user:{secret}@host");
    let looks = [
        secret.clone(),
        long.clone(),
        secret[..20].to_string(),
        secret[15..].to_string(),
        serde_json::to_string(&long).unwrap(),
        percent_encoded(&long).to_string(),
        STANDARD.encode(&long),
        STANDARD.encode(format!("x{long}")),
        STANDARD.encode(format!("xx{long}")),
        URL_SAFE_NO_PAD.encode(&long),
    ];
    for look in looks {
        let hidden = hide(&look);
        let left = hidden.split(HIDDEN).map(str::len).sum::<usize>();
        assert!(hidden.contains(HIDDEN) && left + 12 < look.len(), "{look} became {hidden}");
        assert!(!hidden.contains(&secret[4..16]), "{hidden}");
    }
    assert_eq!(hide(&format!("a {} b {}.", value(1), value(1))), "a [secret] b [secret].");
}

#[test]
fn the_keys_in_a_document_are_remembered_and_its_other_words_are_not() {
    let (plain, key) = (value(2), value(3));
    let pem = format!("-----BEGIN EC PRIVATE KEY-----\n{key}\n-----END EC PRIVATE KEY-----\n");
    let document = format!(
        "kind: Configuration\nca: {}\nuser:\n  - token: '{plain}'\n    key: {}\n",
        value(4),
        STANDARD.encode(&pem)
    );
    remember(document.as_bytes());
    let hidden = hide(&document).into_owned();
    assert!(hidden.contains("kind: Configuration") && hidden.contains(&value(4)), "{hidden}");
    assert!(!hidden.contains(&plain), "{hidden}");
    assert_eq!(hide(&format!("<{key}>")), "<[secret]>");
    let json = format!(r#"{{"name":"{}","token":"{}"}}"#, value(5), value(6));
    remember(json.as_bytes());
    assert_eq!(hide(&json), format!(r#"{{"name":"{}","token":"[secret]"}}"#, value(5)));
}

#[test]
fn what_has_the_form_of_a_secret_is_hidden_whoevers_it_is() {
    for (raw, shown) in [
        ("PVEAPIToken=a@pve!t=0123-4567-89ab-cdef x", "PVEAPIToken=a@pve!t=[secret] x"),
        ("-H \"Authorization: PVEAPIToken=TOKEN_ID=SECRET\"", "-H \"Authorization: PVEAPIToken=TOKEN_ID=SECRET\""),
        ("Bearer authentication is off", "Bearer authentication is off"),
        ("authorization: Bearer 0123456789abcdef;", "authorization: Bearer [secret];"),
        (
            "a -----BEGIN RSA PRIVATE KEY----- abc -----END RSA PRIVATE KEY----- b",
            "a -----BEGIN RSA PRIVATE KEY-----[secret]-----END RSA PRIVATE KEY----- b",
        ),
        ("-----BEGIN PRIVATE KEY-----cut", "-----BEGIN PRIVATE KEY-----[secret]"),
        (
            "-----BEGIN CERTIFICATE-----abc-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----abc-----END CERTIFICATE-----",
        ),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlMQ, done", "[secret], done"),
    ] {
        assert_eq!(hide(raw), shown);
    }
}

/// harm.md S17
#[test]
fn a_token_is_hidden_in_capitals_without_dashes_in_hexadecimal_base32_and_base64_and_in_all_of_them_together() {
    let secret = "0c9d2f1e-77ab-4c3d-9e8f-5a6b7c8d9e0f";
    remember(secret.as_bytes());
    let bare = secret.replace('-', "");
    let hex = |text: &str| super::super::text::hex(text.as_bytes());
    let mut looks = Vec::new();
    for text in [secret.to_string(), secret.to_uppercase(), bare.clone(), bare.to_uppercase()] {
        looks.extend([text.clone(), hex(&text), hex(&text).to_uppercase()]);
        looks.extend([base32(text.as_bytes()).to_string(), base32(text.as_bytes()).to_lowercase()]);
        looks.extend([STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(format!("a@pve!t={text}"))]);
    }
    looks.push(STANDARD.encode(number(secret).unwrap().as_slice()));
    for look in looks {
        let hidden = hide(&look).into_owned();
        // What a token shares with its neighbours in base64 and base32 may stay: a few letters.
        let left = hidden.replace(HIDDEN, "").trim_start_matches(&URL_SAFE_NO_PAD.encode("a@pve!t=")[..10]).len();
        assert!(hidden.contains(HIDDEN) && left < 6, "{look} became {hidden}");
    }
    assert_eq!(*base32(b"foobar"), "MZXW6YTBOI");
}

/// harm.md S7: ten thousand times the work would be minutes, so the bound is generous for a slow machine.
#[test]
fn a_megabyte_of_beginnings_costs_one_pass() {
    for mark in
        ["eyJ", "PVEAPIToken=", "PVEAuthCookie=", "Bearer ", "Basic ", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----"]
    {
        let text = mark.repeat((1 << 20) / mark.len());
        let began = std::time::Instant::now();
        let places = forms(&text);
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_secs(1), "{mark}: {took:?}");
        assert!(places.len() < 2, "{mark}");
    }
    let token = format!("{}.{}.{}", "eyJ".repeat(20), "eyJ1".repeat(9), "c2lnbmF0dXJl1");
    assert_eq!(hide(&format!("x {token} y")), "x [secret] y");
}

proptest! {
    #[test]
    fn no_text_is_too_strange_and_what_is_hidden_stays_hidden(before in ".*", after in ".*", cut in 0usize..24) {
        let secret = value(7);
        remember(secret.as_bytes());
        let text = format!("{before}{}{after}", &secret[cut..]);
        let hidden = hide(&text).into_owned();
        prop_assert!(!hidden.contains(&secret[cut..]));
        prop_assert_eq!(hide(&hidden), hidden.as_str());
    }
}
