//! Checks the dependencies between crates: the core is free of frameworks, and the layer is light.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// The number of crates that the layer may add to an axum service, without moka and its own dependencies.
const MOST_ADDED: usize = 24;
/// The same with moka.
const MOST_ADDED_WITH_MOKA: usize = 35;

fn metadata() -> Metadata {
    metadata_of(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
}

fn metadata_of(manifest: impl Into<PathBuf>) -> Metadata {
    let options = ["--offline".to_owned(), "--filter-platform".to_owned(), host()];
    MetadataCommand::new().cargo_path(env!("CARGO")).manifest_path(manifest).other_options(options).exec().unwrap()
}

/// The platform of the tests.
fn host() -> String {
    let output = std::process::Command::new(std::env::var("RUSTC").unwrap_or("rustc".to_owned())).arg("-vV").output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn package<'m>(metadata: &'m Metadata, name: &str) -> &'m Package {
    metadata.packages.iter().find(|package| package.name.as_str() == name).unwrap_or_else(|| panic!("no {name}"))
}

/// Returns a package's dependencies, except for those of its tests and benches.
fn declared(package: &Package) -> impl Iterator<Item = &cargo_metadata::Dependency> {
    package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development)
}

/// Returns the names of all packages that a package is built from.
fn built_of(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let nodes: HashMap<&PackageId, _> =
        metadata.resolve.as_ref().unwrap().nodes.iter().map(|node| (&node.id, node)).collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![&package(metadata, name).id];
    while let Some(id) = open.pop() {
        let normal = |dependency: &&cargo_metadata::NodeDep| {
            dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
        };
        open.extend(
            nodes[id].deps.iter().filter(normal).map(|dependency| &dependency.pkg).filter(|id| seen.insert(*id)),
        );
    }
    seen.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

fn assert_not_declared(metadata: &Metadata, name: &str, forbidden: &[&str]) {
    for dependency in declared(package(metadata, name)) {
        let is_forbidden = forbidden.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => dependency.name.starts_with(start),
            None => dependency.name == *pattern,
        });
        assert!(!is_forbidden, "{name} depends on {}", dependency.name);
    }
}

#[test]
fn given_the_core_when_its_dependencies_are_listed_then_it_knows_no_http_and_no_framework() {
    let metadata = metadata();
    assert_not_declared(
        &metadata,
        "apikey-core",
        &["http*", "tower*", "axum*", "actix*", "hyper*", "tonic*", "sqlx*", "apikey-*"],
    );
    let built_of = built_of(&metadata, "apikey-core");
    for crate_name in ["http", "http-body", "hyper", "tower", "tower-service", "tower-layer", "axum-core", "actix-web"]
    {
        assert!(!built_of.contains(crate_name), "apikey-core is built of {crate_name}");
    }
}

#[test]
fn given_the_core_when_it_uses_tokio_then_only_its_locks_its_timer_and_a_handle() {
    let metadata = metadata();
    let tokio = declared(package(&metadata, "apikey-core")).find(|dependency| dependency.name == "tokio").unwrap();
    assert!(!tokio.uses_default_features);
    assert_eq!(BTreeSet::from_iter(tokio.features.iter().map(String::as_str)), BTreeSet::from(["rt", "sync", "time"]));
}

#[test]
fn given_the_adapters_when_their_dependencies_are_listed_then_each_knows_its_own_framework_alone() {
    let metadata = metadata();
    assert_not_declared(&metadata, "tower-apikey", &["axum*", "actix*", "tokio", "hyper*", "tower", "tower-http"]);
    assert_not_declared(&metadata, "axum-apikey", &["axum", "actix*", "tokio", "hyper*", "tower", "tower-http"]);
    assert_not_declared(&metadata, "actix-apikey", &["tower-apikey", "axum*", "tokio", "hyper*", "tower"]);
    let names = |name| declared(package(&metadata, name)).map(|dependency| dependency.name.as_str());
    assert!(names("axum-apikey").any(|name| name == "axum-core"));
    for adapter in ["tower-apikey", "actix-apikey"] {
        assert!(names(adapter).any(|name| name == "apikey-core"), "{adapter}");
    }
}

#[test]
fn given_the_workspace_when_its_crates_depend_on_each_other_then_only_as_drawn() {
    let metadata = metadata();
    let members: BTreeSet<_> = metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    let drawn: &[(&str, &[&str])] = &[
        ("apikey-core", &[]),
        ("tower-apikey", &["apikey-core"]),
        ("axum-apikey", &["tower-apikey"]),
        ("actix-apikey", &["apikey-core"]),
        ("apikey-client", &["apikey-core"]),
        ("apikey-cli", &["apikey-console", "apikey-core", "apikey-manager", "apikey-sqlx"]),
        ("apikey-fleet", &[]),
        ("apikey-manager", &["apikey-core", "apikey-fleet"]),
        ("apikey-sqlx", &["apikey-core", "apikey-fleet", "apikey-manager"]),
        ("apikey-conformance", &["apikey-core", "apikey-fleet", "apikey-manager"]),
        ("apikey-console", &["apikey-core", "apikey-manager", "tower-apikey"]),
        ("apikey-webhooks", &["apikey-manager"]),
    ];
    for (name, allowed) in drawn.iter().filter(|(name, _)| members.contains(*name)) {
        let siblings = declared(package(&metadata, name)).map(|dependency| dependency.name.as_str());
        for sibling in siblings.filter(|sibling| members.contains(*sibling)) {
            assert!(allowed.contains(&sibling), "{name} depends on {sibling}");
        }
    }
    let published = metadata.workspace_packages().into_iter().filter(|package| package.publish.is_none());
    for package in published {
        assert!(drawn.iter().any(|(name, _)| package.name.as_str() == *name), "{} has no place", package.name);
    }
}

#[test]
fn given_the_workspace_when_its_crates_are_checked_then_all_have_its_lints() {
    for package in metadata().workspace_packages() {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        let lints = manifest.split_once("[lints]").map(|(_, rest)| rest.trim_start());
        assert!(lints.is_some_and(|rest| rest.starts_with("workspace = true")), "{} has other lints", package.name);
    }
}

/// Returns the crates of a service with these dependencies, apart from this workspace's.
///
/// It is resolved separately, with the workspace's versions, because other members would enable more features.
fn service(name: &str, dependencies: &str) -> BTreeSet<String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let manifest =
        format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{dependencies}");
    fs::write(folder.join("Cargo.toml"), manifest.replace("{workspace}", workspace.to_str().unwrap())).unwrap();
    let metadata = metadata_of(folder.join("Cargo.toml"));
    fs::remove_dir_all(&folder).unwrap();
    let is_ours = |name: &String| package(&metadata, name).source.is_none();
    built_of(&metadata, name).into_iter().filter(|name| !is_ours(name)).collect()
}

#[test]
fn given_an_axum_service_when_it_adds_the_layer_then_few_crates_come_with_it() {
    let axum = "axum = \"0.8\"\ntokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }\n";
    let without = service("without-the-layer", axum);
    let with =
        service("with-the-layer", &format!("{axum}tower-apikey = {{ path = \"{{workspace}}/tower-apikey\" }}\n"));
    let moka = service("with-moka", &format!("{axum}moka = {{ version = \"0.12\", features = [\"sync\"] }}\n"));
    let added = |before: &BTreeSet<String>| with.difference(before).cloned().collect::<Vec<_>>();
    let (beside_moka, all) = (added(&moka), added(&without));
    println!("{} crates beyond {}: {}", all.len(), without.len(), all.join(" "));
    assert!(with.is_superset(&without) && with.is_superset(&moka));
    assert!(beside_moka.len() <= MOST_ADDED, "{} crates: {}", beside_moka.len(), beside_moka.join(" "));
    assert!(all.len() <= MOST_ADDED_WITH_MOKA, "{} crates: {}", all.len(), all.join(" "));
}
