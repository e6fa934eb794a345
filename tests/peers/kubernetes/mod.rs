//! One conformance suite for the lab's Kubernetes API and a real one: etcd and kube-apiserver, with the flags of Talos
//! and the secrets and settings that cozyup makes. What the real one answers stands in the cases; the lab must say the
//! same. `COZYUP_CASE=part` runs the cases whose name holds `part`.
mod apply;
mod client;
mod cluster;
mod create;
mod custom;
mod delete;
mod discovery;
mod events;
mod gone;
mod lab;
mod list;
mod old_cluster;
mod patch;
mod pods;
mod restart;
mod rights;
mod watch;

use cluster::Cluster;
use std::pin::Pin;
use std::rc::Rc;
use tokio::task::{LocalSet, spawn_local};

type Running = Pin<Box<dyn Future<Output = ()>>>;
type Case = (&'static str, fn(Rc<Cluster>) -> Running);

macro_rules! cases {
    ($($room:ident: $($case:ident),* ;)*) => {
        const CASES: &[Case] = &[
            $($((concat!(stringify!($room), "::", stringify!($case)), |cluster| {
                Box::pin(async move { $room::$case(&cluster).await })
            }),)*)*
        ];
    };
}

cases! {
    discovery:
        groups_and_resources_are_told,
        both_forms_of_discovery_agree,
        what_is_not_there_is_a_plain_404_or_a_status,
        the_version_is_that_of_talos;
    list:
        pages_hold_every_object_once,
        a_page_token_that_is_none_is_refused,
        versions_that_can_not_be_are_refused,
        labels_and_fields_select,
        selectors_that_can_not_be_read_are_refused,
        a_list_can_be_of_metadata_alone,
        a_form_that_nobody_has_is_not_acceptable;
    watch:
        events_come_in_order_and_go_on_where_a_watch_ended,
        a_selection_sees_objects_come_into_view_and_leave_it,
        bookmarks_move_the_version_on,
        a_version_that_is_none_ends_the_watch_at_once,
        initial_events_are_behind_a_closed_gate,
        a_table_is_watched_row_by_row;
    create:
        a_new_object_gets_what_the_server_sets,
        names_are_judged_by_the_rule_of_their_kind,
        names_are_generated,
        a_body_of_another_kind_is_refused,
        fields_that_nobody_knows_warn_or_are_refused,
        a_wrong_type_is_refused,
        options_that_can_not_be_are_refused,
        a_dry_run_leaves_nothing,
        defaults_are_filled_in_and_owned,
        a_secret_in_plain_text_is_stored_encoded;
    patch:
        merge_and_json_patches_do_what_they_say,
        a_strategic_patch_merges_by_key,
        a_patch_that_does_not_fit_is_refused,
        an_update_needs_the_latest_version,
        what_can_not_change_is_refused,
        status_is_written_by_its_own_path,
        a_scale_is_owned_apart;
    apply:
        an_apply_owns_what_it_says_and_drops_what_it_says_no_more,
        a_field_of_another_is_a_conflict_that_names_it,
        several_conflicts_are_listed_by_manager,
        force_takes_the_field_over,
        an_apply_that_repeats_itself_makes_no_version,
        an_apply_without_a_manager_is_refused,
        the_installer_manifest_and_our_settings_are_taken;
    delete:
        preconditions_hold_a_deletion_back,
        finalizers_hold_an_object,
        a_claim_is_protected,
        a_collection_goes_by_selector,
        a_namespace_on_its_way_out_takes_nothing_in,
        the_first_namespaces_stay,
        a_propagation_that_is_none_is_refused;
    pods:
        pods_need_their_account_and_keep_off_the_host,
        a_pod_stays_as_it_is;
    events:
        events_are_selected_by_what_they_are_about;
    custom:
        every_kind_that_cozyup_touches_is_served,
        a_release_has_generations_and_a_status_of_its_own,
        unknown_fields_are_dropped_with_a_warning,
        shapes_are_checked,
        a_custom_resource_is_updated_only_with_its_version,
        a_custom_resource_has_no_strategic_patch,
        a_definition_takes_its_objects_along,
        a_definition_that_is_none_is_refused,
        what_our_steps_write_is_taken_strictly;
    rights:
        nothing_is_answered_to_nobody,
        a_user_without_rights_is_told_what_is_missing,
        what_may_not_be_seen_is_forbidden_also_when_it_is_not_there,
        a_role_gives_rights_in_its_namespace_alone,
        a_user_can_ask_what_it_may,
        a_certificate_of_another_authority_gets_nowhere,
        a_certificate_whose_time_is_over_gets_nowhere;
    client:
        the_reader_reads,
        the_changer_changes_and_names_conflicts,
        waiting_ends_at_the_change,
        snapshots_follow_the_cluster,
        a_right_that_is_missing_is_told;
}

/// Runs every case at once, then those that take history and server from everybody. Names those that fail.
async fn judge(cluster: Cluster) {
    let cluster = Rc::new(cluster);
    cluster.define().await;
    let wanted = std::env::var("COZYUP_CASE").unwrap_or_default();
    let cases = CASES.iter().filter(|(name, _)| name.contains(&wanted));
    let running: Vec<_> = cases.map(|(name, case)| (name, spawn_local(case(cluster.clone())))).collect();
    let mut failed = Vec::new();
    for (name, case) in running {
        match case.await {
            Ok(()) => println!("ok {name}"),
            Err(_) => failed.push(*name),
        }
    }
    if failed.is_empty() {
        gone::what_history_left_behind_is_gone_and_our_client_lists_anew(&cluster).await;
        restart::watches_and_clients_survive_a_server_that_restarts(&cluster).await;
    }
    assert!(failed.is_empty(), "{} of {} cases failed: {failed:#?}", failed.len(), CASES.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_labs_api_answers_as_kubernetes_does() {
    LocalSet::new().run_until(judge(Cluster::lab().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs real peers: tests/peers/run"]
async fn a_real_api_server_answers_as_the_cases_say() {
    LocalSet::new().run_until(judge(Cluster::real().await)).await;
}
