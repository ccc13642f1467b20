"""Where each attack of the threat table is tried: every row has its tests, and they are still there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

ROWS: dict[int, str] = {
    1: """policy/test_recipes.py::test_a_trick_is_refused_or_sent_exactly_as_it_was_checked
        test_arguments.py::test_what_is_refused_and_how_it_is_said test_arguments.py::test_one_canonical_value
        test_arguments.py::test_what_passes_is_canonical_already""",
    2: """policy/test_recipes.py::test_a_trick_is_refused_or_sent_exactly_as_it_was_checked
        policy/test_money.py::test_an_amount_against_the_limit_of_its_currency
        test_arguments.py::test_what_is_refused_and_how_it_is_said
        test_arguments.py::test_what_passes_is_strict_json_with_safe_integers""",
    3: """policy/test_recipes.py::test_a_trick_is_refused_or_sent_exactly_as_it_was_checked
        policy/test_money.py::test_an_amount_against_the_limit_of_its_currency
        test_money.py::test_an_amount_has_the_decimals_of_its_currency""",
    4: """policy/test_fields.py::test_a_limit_needs_its_field_in_every_place
        policy/test_money.py::test_many_amounts_are_added_and_one_that_is_not_said_is_unknown
        policy/test_money.py::test_what_the_arguments_do_not_say_stands_in_before
        policy/test_recipes.py::test_a_refund_whose_sum_is_not_known_is_denied""",
    5: """policy/test_memory.py::test_sums_drop_out_of_a_window_one_by_one
        policy/test_memory.py::test_a_daily_quota_is_of_the_last_24_hours
        policy/test_memory.py::test_a_failure_gives_back_and_the_unknown_is_kept
        policy/test_memory.py::test_an_unknown_call_is_kept_as_long_as_its_window
        policy/test_memory.py::test_tools_that_a_rule_reaches_share_one_counter
        policy/test_memory.py::test_a_budget_counts_every_tool_with_its_effect
        policy/test_memory.py::test_each_currency_has_its_own_sum_however_it_is_written
        policy/test_memory.py::test_negative_amounts_spend_and_refill_nothing
        policy/test_memory.py::test_what_is_not_known_is_denied
        policy/test_memory.py::test_a_ledger_that_cannot_be_asked_denies
        test_gateway.py::test_calls_side_by_side_spend_one_budget
        test_gateway.py::test_while_a_call_is_under_way_what_it_uses_is_reserved
        test_gateway.py::test_what_became_of_a_call_is_settled
        test_gateway.py::test_an_unknown_call_and_its_repeats_are_counted_once
        test_gateway.py::test_a_store_that_fails_after_the_call_leaves_it_reserved
        store/test_contract.py::test_what_may_have_acted_is_spent
        store/test_contract.py::test_all_engines_count_alike
        store/test_sql.py::test_a_call_that_is_reserved_is_spent_by_every_other
        test_under_fire.py::test_a_budget_holds_to_the_unit_whatever_fails""",
    6: """policy/test_recipes.py::test_rules_bind_to_effects_and_not_to_names
        policy/test_recipes.py::test_a_trick_is_refused_or_sent_exactly_as_it_was_checked
        connectors/test_stripe.py::test_every_parameter_is_offered_or_left_out_for_a_reason
        spec/test_keys.py::test_a_misused_key_is_told_once_and_in_plain_words""",
    7: """policy/test_recipes.py::test_a_trick_is_refused_or_sent_exactly_as_it_was_checked
        test_arguments.py::test_what_is_refused_and_how_it_is_said
        test_arguments.py::test_depth_is_bounded_before_anything_recursive_sees_it
        test_arguments.py::test_size_is_bounded_in_bytes
        spec/test_params.py::test_objects_are_closed_at_every_depth_and_stay_so_when_narrowed""",
    8: """policy/test_recipes.py::test_a_trick_is_refused_or_sent_exactly_as_it_was_checked
        test_arguments.py::test_what_is_refused_and_how_it_is_said
        server/test_lines.py::test_hostile_text_is_refused""",
    9: """policy/test_templates.py::test_a_blocked_word_is_known_in_disguise
        policy/test_templates.py::test_a_template_on_what_it_may_meet
        policy/test_recipes.py::test_a_trick_is_refused_or_sent_exactly_as_it_was_checked
        engine/test_request.py::test_row_10_a_path_value_that_is_refused""",
    10: """engine/test_request.py::test_row_10_a_path_value_that_is_refused
        engine/test_request.py::test_row_10_whatever_the_value_the_server_sees_the_template
        engine/test_request.py::test_row_10_the_built_url_is_held_against_its_template
        engine/test_request.py::test_row_10_a_header_takes_no_line_end""",
    11: """engine/test_encoding.py::test_row_11_a_key_with_brackets_is_refused
        engine/test_encoding.py::test_row_11_a_text_stays_inside_its_pair
        engine/test_official_client.py::test_any_tree_is_encoded_alike
        policy/test_recipes.py::test_a_trick_is_refused_or_sent_exactly_as_it_was_checked""",
    12: """engine/test_client.py::test_row_12_a_redirect_is_not_followed
        spec/test_connector.py::test_an_address_that_is_refused
        test_apps.py::test_a_setting_in_the_host_is_one_label
        test_apps.py::test_a_setting_in_the_path_stays_in_its_segment""",
    13: """test_secrets.py::test_a_secret_never_shows_itself test_secrets.py::test_every_encoding_is_taken_out
        test_secrets.py::test_a_traceback_with_every_variable_does_not_show_it
        test_secrets.py::test_base64_at_every_alignment
        test_secrets.py::test_a_secret_that_was_cut_short_is_taken_out_as_well
        test_secrets.py::test_a_secret_whose_beginning_is_missing
        test_secrets.py::test_a_secret_is_known_in_every_writing
        test_secrets.py::test_a_secret_over_the_neighbouring_texts_of_a_list
        test_secrets.py::test_a_secret_cannot_be_taken_along
        test_secrets.py::test_a_master_key_never_shows_itself
        test_secrets.py::test_a_master_key_cannot_be_taken_along
        test_taint.py::test_whatever_the_reply_the_secret_stays
        test_taint.py::test_whatever_is_no_reply_the_secret_stays
        test_taint.py::test_whatever_the_connection_the_secret_stays
        test_taint.py::test_whatever_breaks_the_secret_stays
        test_taint.py::test_whatever_a_command_meets_the_secret_stays
        test_taint.py::test_passphrases_and_the_master_key_stay
        test_taint.py::test_a_server_that_tells_everything_does_not_tell_it
        test_taint.py::test_the_search_finds_it_however_it_is_written
        test_gateway.py::test_a_secret_in_a_reply_goes_nowhere
        test_app_security.py::test_no_mask_tells_a_good_guess_of_a_credential_from_a_bad_one
        test_gateway.py::test_whatever_breaks_is_said_and_leaks_nothing
        test_gateway.py::test_an_api_that_echoes_the_credential_learns_nothing_to_the_agent""",
    14: """engine/test_hygiene.py::test_a_text_of_an_api_shows_all_that_it_says
        engine/test_hygiene.py::test_nothing_that_unicode_lets_be_invisible_passes
        engine/test_hygiene.py::test_the_short_way_is_taken_only_where_there_is_nothing_to_clean
        engine/test_hygiene.py::test_an_error_shows_all_that_it_says
        engine/test_hygiene.py::test_what_does_not_show_hides_no_secret
        engine/test_hygiene.py::test_a_denial_shows_all_that_it_says
        engine/test_hygiene.py::test_a_text_of_an_api_never_gets_into_what_describes_a_tool
        engine/test_hygiene.py::test_an_object_that_the_api_expands_does_not_pass_by_its_name
        engine/test_projection.py::test_row_14_every_scalar_that_passes_was_asked_for""",
    15: """vault/test_connected.py::test_a_secret_is_bound_to_source_origin_and_settings
        vault/test_connected.py::test_a_file_with_a_known_name_gets_the_secret_only_for_the_known_place
        vault/test_connected.py::test_whoever_edits_what_a_secret_is_bound_to_opens_nothing
        vault/test_environment.py::test_row_15_a_file_that_bears_a_known_name
        test_ceiling_end_to_end.py::test_the_key_of_a_shipped_connector_is_not_for_a_projects_file
        test_ceiling_end_to_end.py::test_a_file_has_to_be_connected_again_when_one_byte_changes
        test_ceiling_end_to_end.py::test_a_shipped_name_cannot_be_shadowed
        test_ceiling_end_to_end.py::test_origin_settings_and_account_are_what_was_connected""",
    16: """cli/test_call.py::test_a_live_key_runs_only_with_live
        vault/test_connected.py::test_a_live_key_runs_only_with_live
        test_troubleshooting.py::test_a_live_key_that_is_sealed_runs_only_with_live""",
    17: """vault/test_ceiling.py::test_the_sealed_text_says_all_that_the_preset_says
        vault/test_ceiling.py::test_a_request_within_and_beyond
        vault/test_ceiling.py::test_a_lookup_is_for_a_tool_within_it_and_nothing_passes_for_another
        vault/test_ceiling.py::test_what_a_ceiling_allows_only_a_preset_can_grant
        test_ceiling_end_to_end.py::test_whatever_flags_are_given_the_ceiling_holds
        test_ceiling_end_to_end.py::test_the_vault_holds_it_by_itself
        test_ceiling_end_to_end.py::test_files_that_change_later_change_nothing
        test_ceiling_end_to_end.py::test_whoever_edits_the_ceiling_opens_nothing
        test_ceiling_end_to_end.py::test_raising_it_needs_the_key_again
        test_app_security.py::test_nothing_that_a_key_opens_changes_the_configuration
        test_app_security.py::test_there_is_no_other_door
        test_app_security.py::test_an_apps_key_is_nothing_to_a_person_who_changes_apps
        server/test_http_metrics.py::test_an_apps_key_is_no_token_for_metrics
        test_layers.py::test_a_room_imports_only_what_the_table_allows
        cli/test_account_policy.py::test_it_holds_whatever_preset_and_flags_are_given""",
    18: """policy/test_decide.py::test_a_rule_that_breaks_denies
        policy/test_binding.py::test_a_typo_that_would_unguard_is_an_error
        policy/test_money.py::test_a_bound_that_bounds_nothing_is_refused
        test_gateway.py::test_whatever_breaks_is_said_and_leaks_nothing
        spec/test_keys.py::test_a_misused_key_is_told_once_and_in_plain_words""",
    19: """engine/test_client.py::test_row_19_a_huge_reply_is_left_alone
        engine/test_response.py::test_row_19_the_deepest_reply_that_is_read
        test_arguments.py::test_many_faults_are_told_in_few_words
        spec/test_params.py::test_a_parameter_that_cannot_be_checked_or_listed_is_refused""",
    20: """test_gateway.py::test_an_unknown_call_repeated_reuses_its_key
        test_gateway.py::test_a_backend_that_breaks_after_sending_leaves_the_call_unknown_under_its_key
        store/test_contract.py::test_the_key_of_a_call_that_may_have_acted
        engine/test_response.py::test_row_20_an_error_of_a_write_bears_its_key
        test_standins.py::test_a_charge_whose_outcome_is_unknown_can_be_repeated_without_harm""",
    21: """spec/test_yaml_loader.py::test_hostile_yaml_is_refused_with_its_place
        spec/test_yaml_loader.py::test_the_crash_of_the_c_loader_is_real_and_kept_out""",
    22: """spec/test_keys.py::test_a_misused_key_is_told_once_and_in_plain_words
        spec/test_params.py::test_a_parameter_that_cannot_be_checked_or_listed_is_refused""",
    23: """store/test_app_key.py::test_a_key_has_256_bits_and_never_shows_itself
        store/test_app_key.py::test_one_that_cannot_be_read_has_passed
        store/test_config.py::test_a_key_is_a_secret_that_does_not_show_itself
        store/test_config.py::test_another_key_is_another_app_and_the_old_one_is_none
        cli/test_apps.py::test_the_key_is_shown_once_with_how_it_is_used_and_is_nowhere_else
        cli/test_apps.py::test_rotating_gives_another_key_and_the_old_one_counts_no_more
        server/test_http_guard.py::test_without_a_key_of_an_app_nobody_comes_in
        server/test_http_guard.py::test_two_keys_are_none
        server/test_http_guard.py::test_a_key_in_the_url_is_refused_in_words
        server/test_http_guard.py::test_while_keys_cannot_be_looked_up_nobody_comes_in
        server/test_http_stop.py::test_nothing_is_logged_of_what_is_asked_and_answered
        server/test_http.py::test_the_news_of_a_key_end_with_it
        engine/test_remote.py::test_the_key_is_told_nowhere
        engine/test_remote.py::test_a_redirect_is_not_followed_and_the_key_stays_here
        cli/test_bridge.py::test_a_key_file_that_is_open_to_others
        cli/test_bridge.py::test_an_address_that_cannot_be_used
        test_app_security.py::test_a_key_ends_at_its_next_request
        test_app_security.py::test_a_key_that_ends_while_its_request_arrives_does_nothing
        test_app_security.py::test_an_app_comes_to_its_end_in_the_middle_of_its_time
        test_app_security.py::test_a_bridge_does_not_tell_a_good_guess_of_its_key_from_a_bad_one
        test_serve_end_to_end.py::test_a_key_that_was_replaced_is_refused_at_its_next_request
        test_serve_end_to_end.py::test_it_listens_on_loopback_alone_and_prints_where""",
    24: """server/test_http_guard.py::test_by_which_names_it_is_served
        server/test_http_guard.py::test_which_pages_may_call
        server/test_http_guard.py::test_two_origins_are_none_that_is_allowed
        server/test_http_guard.py::test_the_port_of_the_scheme_need_not_be_said
        server/test_http_guard.py::test_only_post_is_taken
        server/test_http_metrics.py::test_who_reads_them
        test_serve_end_to_end.py::test_it_listens_on_loopback_alone_and_prints_where""",
    25: """store/test_sql.py::test_a_changed_column_breaks_the_chain
        store/test_sql.py::test_every_column_was_tried
        store/test_sql.py::test_rows_that_are_gone_or_moved
        store/test_sql.py::test_a_log_that_was_cut_short_is_told_by_a_head_kept_elsewhere
        store/test_sql.py::test_without_a_key_a_log_can_be_written_anew_and_verify_says_that_there_is_none
        store/test_sql.py::test_arguments_are_sealed_and_come_back_whole
        store/test_sql.py::test_without_the_key_arguments_stay_closed
        store/test_sql.py::test_where_there_is_no_key_arguments_are_not_kept
        store/test_sql.py::test_what_is_sealed_belongs_to_its_call_and_its_part
        store/test_sql.py::test_personal_data_are_erased_and_the_chain_holds
        store/test_sql.py::test_what_was_taken_out_by_hand_is_not_excused_by_what_is_erased_around_it
        store/test_sql.py::test_what_anyone_can_write_excuses_nothing_in_a_keyed_log
        store/test_sql.py::test_the_oldest_rows_are_pruned_and_the_rest_holds
        store/test_sql.py::test_the_key_shows_itself_nowhere
        store/test_sql.py::test_processes_that_write_at_once_share_one_chain
        cli/test_activity.py::test_verify_names_the_first_row_that_was_changed
        cli/test_activity.py::test_verify_of_a_sound_log_gives_a_head_to_keep
        cli/test_activity.py::test_rows_cut_from_the_end_are_noticed_with_a_head_that_was_kept
        test_under_fire.py::test_what_was_under_way_at_kill_9_is_in_the_log_and_goes_again_under_its_key""",
    26: """server/test_stdio.py::test_a_stray_print_does_not_reach_the_client
        server/test_stdio.py::test_a_child_does_not_read_the_clients_messages""",
    27: """engine/test_response.py::test_row_27_what_came_is_not_what_was_due
        engine/test_client.py::test_row_27_bytes_that_are_not_http""",
    28: """engine/test_client.py::test_row_28_a_byte_at_a_time_for_ever
        engine/test_client.py::test_row_28_all_attempts_share_one_deadline
        engine/test_client.py::test_row_28_a_wait_beyond_what_is_left_is_told""",
    29: "engine/test_official_client.py::test_the_same_request",
    30: """engine/test_client.py::test_row_30_what_is_sent_again_and_what_becomes_of_it
        engine/test_client.py::test_row_30_a_write_that_lost_its_key_is_not_repeated
        engine/test_request.py::test_row_30_what_may_be_repeated""",
    31: "spec/test_keys.py::test_a_misused_key_is_told_once_and_in_plain_words",
    32: """test_switches.py::test_a_tool_that_is_off_says_why_and_what_enables_it
        test_switches.py::test_whatever_changes_what_a_call_does_changes_the_digest
        cli/test_apps.py::test_a_tool_that_is_new_or_was_changed_is_off_until_it_is_enabled
        test_serve_end_to_end.py::test_a_tool_that_changes_under_its_name_is_off_while_it_is_served""",
    33: """cli/test_escapes.py::test_a_terminal_shows_what_is_said_and_obeys_nothing
        cli/test_escapes.py::test_a_reply_is_shown_and_not_obeyed
        cli/test_escapes.py::test_connecting_shows_and_does_not_obey
        cli/test_escapes.py::test_the_sandbox_says_and_does_not_obey
        cli/test_escapes.py::test_a_demo_shows_and_does_not_obey
        cli/test_escapes.py::test_all_that_an_agent_never_sees_is_escaped_for_people_too
        cli/test_escapes.py::test_json_for_machines_is_the_same_value
        cli/test_escapes.py::test_nothing_that_is_printed_needs_to_be_escaped_first
        cli/test_activity.py::test_a_terminal_only_shows_what_texts_say
        cli/test_activity.py::test_no_cell_of_a_csv_is_a_formula
        cli/test_budgets.py::test_hostile_texts_of_the_ledger_are_only_shown
        server/test_http_metrics.py::test_labels_are_known_names
        server/test_http_metrics.py::test_there_is_an_end_to_the_series
        test_app_security.py::test_no_cell_is_a_formula_where_semicolons_separate_cells
        test_app_security.py::test_a_label_is_no_word_of_an_agent""",
    34: """test_app_security.py::test_a_tool_of_a_connector_that_is_not_granted_does_not_exist
        test_app_security.py::test_what_one_app_may_and_has_used_is_no_other_apps
        test_app_security.py::test_a_listing_stays_what_it_is_whoever_is_shown_it
        test_app_security.py::test_a_slow_api_of_one_app_holds_up_no_other
        test_app_security.py::test_an_app_that_is_moved_into_the_sandbox_calls_nothing_real_and_frees_nothing
        test_discovery.py::test_no_more_is_told_than_is_listed
        policy/test_memory.py::test_a_counter_belongs_to_the_layer_that_holds_the_rule
        store/test_contract.py::test_a_key_belongs_to_one_app_tool_and_arguments
        store/test_contract.py::test_a_tally
        server/test_http.py::test_two_apps_see_different_tools_on_one_endpoint
        server/test_http.py::test_news_comes_to_the_app_that_it_is_about
        server/test_http.py::test_what_depends_on_the_key_is_private_and_kept_for_no_time
        server/test_http_guard.py::test_an_app_has_so_many_requests_at_once_and_others_do_not_mind
        test_serve_end_to_end.py::test_two_clients_see_their_own_tools_and_what_another_process_switches
        test_serve_end_to_end.py::test_news_of_a_switch_come_to_who_listens""",
}
WANTED = {*range(1, 35)}


@cache
def names_of(path: Path) -> frozenset[str]:
    """The names of a file's tests."""
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_every_row_is_tried() -> None:
    assert set(ROWS) == WANTED


@pytest.mark.parametrize("row", ROWS)
def test_the_tests_of_a_row_are_there(row: int) -> None:
    for test in ROWS[row].split():
        path, _, name = test.partition("::")
        assert name in names_of(TESTS / path), test
