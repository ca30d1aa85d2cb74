//! What is refused before anything is resolved.

use apikey_manager::WebhookSender;
use apikey_webhooks::Webhooks;

use super::local;

#[test]
fn given_a_url_when_it_breaks_a_rule_then_the_rule_is_told() {
    let webhooks = Webhooks::new().unwrap();
    let longest = format!("https://receiver.example/{}", "ä".repeat(1_975));
    let cases = [
        ("https://receiver.example", Ok(())),
        ("https://receiver.example:8443/hooks/1?source=keys&empty", Ok(())),
        ("https://8.8.8.8/", Ok(())),
        ("https://[2a00:1450:4001:829::200e]:444/", Ok(())),
        (&longest, Ok(())),
        (&format!("{longest}x"), Err("must have at most 2,000 characters")),
        ("http://receiver.example/", Err("must begin with https://")),
        ("HTTPS://receiver.example/", Err("must begin with https://")),
        ("ftp://receiver.example/", Err("must begin with https://")),
        ("https:receiver.example", Err("must begin with https://")),
        ("receiver.example", Err("must begin with https://")),
        ("", Err("must begin with https://")),
        (" https://receiver.example/", Err("must not contain spaces, control characters or backslashes")),
        ("https://receiver.example/a b", Err("must not contain spaces, control characters or backslashes")),
        ("https://rece\niver.example/", Err("must not contain spaces, control characters or backslashes")),
        ("https://receiver.example\\@127.0.0.1/", Err("must not contain spaces, control characters or backslashes")),
        ("https://", Err("is not a URL")),
        ("https://receiver.example:99999/", Err("is not a URL")),
        ("https://[fe80::1%25eth0]/", Err("is not a URL")),
        ("https://user@receiver.example/", Err("must not contain a user name or a password")),
        ("https://:password@receiver.example/", Err("must not contain a user name or a password")),
        ("https://receiver.example/#part", Err("must not contain a fragment")),
    ];
    for (url, expected) in cases {
        assert_eq!(webhooks.check(url), expected.map_err(str::to_owned), "{url}");
    }
}

#[test]
fn given_an_address_in_another_notation_when_it_is_not_public_then_it_is_refused() {
    let webhooks = Webhooks::new().unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "%31%32%37.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "0",
        "169.254.169.254",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
        "[::8.8.8.8]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
    ] {
        let refused = Err("must lead to a public address".to_owned());
        assert_eq!(webhooks.check(&format!("https://{host}/")), refused, "{host}");
    }
}

#[test]
fn given_exceptions_when_the_host_allows_them_then_they_hold_for_these_alone() {
    let webhooks = local().build().unwrap();
    for url in ["http://127.0.0.1:8080/", "http://receiver.example/", "https://127.0.0.1/", "http://8.8.8.8/"] {
        assert_eq!(webhooks.check(url), Ok(()), "{url}");
    }
    for url in ["http://127.0.0.2/", "https://10.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/"] {
        assert_eq!(webhooks.check(url), Err("must lead to a public address".to_owned()), "{url}");
    }
    assert_eq!(webhooks.check("ftp://127.0.0.1/"), Err("must begin with https:// or http://".to_owned()));
}
