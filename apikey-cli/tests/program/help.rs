//! What the program says of itself.

use std::{fmt::Write, fs, path::Path, process::Command};

fn run(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apikey"));
    let output = command.args(arguments).env_remove("DATABASE_URL").env_remove("KEY_OUTPUT").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The committed text is rewritten, so that a changed help shows in the next commit, and the test fails once.
#[test]
fn given_every_command_then_its_help_is_the_committed_one() {
    let mut text = String::new();
    let keys =
        ["issue", "list", "show", "rotate", "end-overlap", "revoke", "disable", "enable", "delete", "bulk-revoke"];
    let others = ["import", "usage", "activity", "trace", "audit", "prune", "migrate", "check"];
    let accounts = ["list", "show", "create", "disable", "enable", "rotate", "delete"];
    let mut commands: Vec<Vec<&str>> = vec![vec![], vec!["keys"]];
    commands.extend(keys.iter().chain(&others).map(|command| vec!["keys", command]));
    commands.push(vec!["keys", "accounts"]);
    commands.extend(accounts.map(|command| vec!["keys", "accounts", command]));
    commands.extend([vec!["migrations"], vec!["completions"]]);
    for command in commands {
        let help = run(&[&command[..], &["--help"]].concat());
        writeln!(text, "$ apikey {}\n{}\n", [&command[..], &["--help"]].concat().join(" "), help.trim_end()).unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/help.txt");
    let committed = fs::read_to_string(&file).unwrap_or_default();
    if committed != text {
        fs::write(&file, &text).unwrap();
        panic!("the help has changed: look at {} and commit it", file.display());
    }
}

#[test]
fn given_a_shell_then_it_completes_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert!(script.contains("bulk-revoke") && script.contains("key-output"), "{shell}");
    }
}

#[test]
fn given_a_dialect_then_its_migrations_are_printed() {
    for (dialect, word) in [("sqlite", "BLOB"), ("postgres", "BYTEA")] {
        assert!(run(&["migrations", dialect]).to_uppercase().contains(word), "{dialect}");
    }
}
