//! Every row of the table holds on every server, and all servers give the same answer.

use std::collections::BTreeSet;

use support::{
    servers::Server,
    table::{Body, Outcome, Row, rows, run_all},
};

fn own_status(row: &Row, server: Server) -> Option<u16> {
    row.own.iter().find(|own| own.server == server).map(|own| own.status)
}

fn problems(row: &Row, server: Server, outcomes: &[Outcome]) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, (step, outcome)) in row.steps().zip(outcomes).enumerate() {
        let mut expect = step.expect;
        expect.status = own_status(row, server).unwrap_or(expect.status);
        let found = expect.problems(outcome);
        problems
            .extend(found.iter().map(|problem| format!("\n{server:?}, {:?}, request {number}: {problem}", row.name)));
    }
    problems
}

async fn check_all(server: Server) {
    let outcomes = run_all(rows(), server).await;
    let problems: String = outcomes.iter().flat_map(|(row, outcomes)| problems(row, server, outcomes)).collect();
    assert!(problems.is_empty(), "{problems}");
}

#[tokio::test]
async fn given_the_table_when_sent_to_hyper_then_every_row_holds() {
    check_all(Server::Hyper).await;
}

#[tokio::test]
async fn given_the_table_when_sent_to_axum_then_every_row_holds() {
    check_all(Server::Axum).await;
}

#[tokio::test]
async fn given_the_table_when_sent_to_actix_then_every_row_holds() {
    check_all(Server::Actix).await;
}

#[tokio::test]
async fn given_the_table_when_sent_to_every_server_then_the_answers_are_the_same() {
    let mut answers = Vec::new();
    for server in Server::ALL {
        let mut of_server = Vec::new();
        for (row, outcomes) in run_all(rows().filter(|row| row.own.is_empty()), *server).await {
            let compared = row.steps().zip(&outcomes).filter(|(step, _)| !matches!(step.expect.body, Body::Own));
            of_server.extend(compared.map(|(_, outcome)| (row.name, outcome.answer.comparable(outcome.layer))));
        }
        answers.push((server, of_server));
    }
    let (first, expected) = answers.remove(0);
    for (server, found) in answers {
        for (one, other) in expected.iter().zip(&found) {
            assert_eq!(one, other, "{first:?} and {server:?} differ");
        }
        assert_eq!(expected.len(), found.len());
    }
}

#[tokio::test]
async fn given_keys_refused_for_different_reasons_when_answered_then_the_bytes_are_the_same() {
    for server in Server::ALL {
        let mut answers = BTreeSet::new();
        let outcomes = run_all(rows().filter(|row| row.name.starts_with("refused: ")), *server).await;
        assert!(outcomes.len() > 12);
        for outcome in outcomes.iter().flat_map(|(_, outcomes)| outcomes) {
            let mut lines = outcome.answer.lines();
            if *server == Server::Actix {
                // Actix's header map has no order: even two answers to one request differ in it.
                lines.sort();
            }
            answers.insert(lines);
        }
        assert_eq!(answers.len(), 1, "{server:?}: {answers:#?}");
    }
}

#[test]
fn given_the_table_when_listed_then_no_name_is_there_twice() {
    let names: BTreeSet<_> = rows().map(|row| row.name).collect();
    assert_eq!(names.len(), rows().count());
}
