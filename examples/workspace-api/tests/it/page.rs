//! The workspace's page in a real browser. `tests/page/workspace.mjs` contains the walk.

use crate::{chromium, stand::Stand};

#[test]
fn given_a_browser_when_an_owner_walks_through_the_life_of_a_key_then_each_step_is_there() {
    let stand = Stand::new();
    let password = stand.person("ada@example.com", "owner", "main");
    let address = format!("http://{}/", stand.service.address);
    chromium::run("workspace.mjs", &[&address, &password, "all"]);
}
