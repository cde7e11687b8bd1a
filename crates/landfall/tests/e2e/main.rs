//! End to end with the real clients: Terraform, the AWS CLI, curl and skopeo against the real program, with real
//! containers and packets. Root is needed; nothing leaves the machine.
//!
//! One Terraform apply serves many cases: each changes the running stack through the API and puts it back.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a panic is how a test fails, and the cases are listed as they pass"
)]
#![allow(clippy::print_stderr, reason = "the roles' logs belong to a failure")]

mod api;
mod application;
mod cases;
mod community_vpc;
mod endpoints;
mod explain;
mod image_path;
mod images;
mod leftovers;
mod logging;
mod peering;
mod pretend_hosts;
mod python_image;
mod rollout;
mod scaling;
mod secrets;
mod stack;
mod task_role;

use leftovers::HostNetwork;
use stack::Stack;

/// A case's name, and what it does.
type Case = (&'static str, fn(&Stack));

#[test]
fn the_example_stack_lives_fails_and_heals_as_on_aws_and_ends_without_a_trace() {
    let before = HostNetwork::look();
    let stack = Stack::up();
    let cases: &[Case] = &[
        ("two steps of the first apply", cases::two_steps_of_the_first_apply),
        ("the second plan is empty", cases::the_second_plan_is_empty),
        ("hello world comes back", cases::hello_world_comes_back),
        (
            "the task sees the load balancer's address",
            cases::the_task_sees_the_load_balancer_and_the_client_s_address,
        ),
        ("the CLI shows the service as AWS does", cases::the_cli_shows_the_service_as_aws_does),
        ("top shows what the task uses", cases::top_shows_what_the_task_uses),
        (
            "a pretend host is reached by its name",
            pretend_hosts::a_pretend_host_is_reached_by_its_name_through_the_nat_gateway,
        ),
        ("each missing piece is explained", explain::each_missing_piece_is_named_with_what_to_add),
        ("a task gets a parameter and a secret", secrets::a_task_gets_a_parameter_and_a_secret),
        (
            "output and flows are in CloudWatch Logs",
            logging::a_task_s_output_and_the_vpc_s_flows_are_in_cloudwatch_logs,
        ),
        ("skopeo pushes and pulls", cases::skopeo_pushes_and_pulls),
        ("serve is killed", cases::the_data_plane_goes_on_while_serve_is_dead),
        ("the agent is killed", cases::the_agent_may_die_and_comes_back),
        ("serve and the agent are killed", cases::serve_and_the_agent_may_die_together),
        ("the balancer is killed", cases::a_killed_balancer_comes_back),
        ("the shim is killed", cases::a_killed_task_is_replaced),
        ("without the ingress rule", cases::without_the_ingress_rule_no_new_connection_reaches_the_task),
        (
            "without the egress rule",
            cases::without_the_egress_rule_no_new_connection_leaves_the_load_balancer,
        ),
        ("without the load balancer's own rule", cases::without_its_own_rule_the_load_balancer_is_silent),
        ("a role without policy cannot pull", cases::a_role_without_policy_cannot_pull),
        ("the plan is still empty", cases::the_second_plan_is_empty),
        ("destroy takes everything", cases::destroy_takes_everything),
    ];
    all(&stack, cases, &before);
}

#[test]
fn a_task_that_cannot_reach_ecr_says_what_it_could_not_reach_and_starts_when_it_can() {
    let before = HostNetwork::look();
    let stack = Stack::up();
    let cases: &[Case] = &[
        ("two steps of the first apply", cases::two_steps_of_the_first_apply),
        (
            "without the route to the NAT gateway",
            image_path::without_the_route_to_the_nat_gateway_it_is_tried_again_with_growing_waits,
        ),
        (
            "without the NAT gateway, and without its address",
            image_path::without_the_nat_gateway_or_its_address,
        ),
        (
            "without the public subnet's route to the internet gateway",
            image_path::without_the_public_subnet_s_route_to_the_internet_gateway,
        ),
        ("without the tasks' egress rule", image_path::without_the_tasks_egress_rule),
        (
            "with a network ACL that lets nothing out to the API",
            image_path::with_a_network_acl_that_lets_nothing_out_to_the_api,
        ),
        (
            "with a network ACL that lets no answer of the registry in",
            image_path::with_a_network_acl_that_lets_no_answer_of_the_registry_in,
        ),
        (
            "with a network ACL that lets nothing out to the layers",
            image_path::with_a_network_acl_that_lets_nothing_out_to_the_layers,
        ),
        (
            "without the private subnets' route table association",
            image_path::without_the_private_subnets_route_table_association,
        ),
        ("without DNS in the VPC", image_path::without_dns_in_the_vpc),
        (
            "with DHCP options that name a server that is not there",
            image_path::with_dhcp_options_that_name_a_server_that_is_not_there,
        ),
        (
            "in a public subnet without a public address",
            image_path::in_a_public_subnet_without_a_public_address,
        ),
        (
            "through three VPC endpoints, and not through two",
            endpoints::through_three_vpc_endpoints_and_not_through_two,
        ),
    ];
    all(&stack, cases, &before);
}

#[test]
fn no_request_is_lost_while_tasks_come_and_go_and_a_broken_version_is_taken_back() {
    let before = HostNetwork::look();
    let stack = Stack::up();
    let cases: &[Case] = &[
        ("two steps of the first apply", cases::two_steps_of_the_first_apply),
        ("Terraform rolls a new version out", rollout::terraform_rolls_a_new_version_out),
        ("scaling and a forced deployment", rollout::scaling_and_a_forced_deployment),
        ("a task is stopped", rollout::a_task_is_stopped),
        ("broken versions are taken back", rollout::broken_versions_are_taken_back),
    ];
    all(&stack, cases, &before);
}

#[test]
fn tasks_reach_a_peer_as_far_as_routes_groups_and_network_acls_of_both_sides_let_them() {
    let before = HostNetwork::look();
    all(&Stack::up(), &[("tasks in two VPCs", peering::tasks_in_two_vpcs)], &before);
}

#[test]
fn the_community_vpc_module_s_networks_are_made_used_and_destroyed() {
    let before = HostNetwork::look();
    let stack = Stack::with("tests/e2e/community_vpc");
    let name = "the community VPC module's networks";
    all(&stack, &[(name, community_vpc::is_made_used_and_destroyed)], &before);
}

#[test]
fn a_task_s_program_calls_aws_as_the_task_s_role() {
    let before = HostNetwork::look();
    let cases: &[Case] = &[
        ("two steps of the first apply", cases::two_steps_of_the_first_apply),
        ("an unmodified SDK", task_role::an_unmodified_sdk_calls_aws_as_the_task_role),
    ];
    all(&Stack::up(), cases, &before);
}

#[test]
fn an_application_of_real_programs_lives_as_on_aws_and_an_update_drops_no_request() {
    let before = HostNetwork::look();
    let stack = Stack::with("tests/e2e/application");
    all(&stack, &[("an application of real programs", application::lives_as_on_aws)], &before);
}

/// Runs the cases one after the other, and ends the stack without a trace.
fn all(stack: &Stack, cases: &[Case], before: &HostNetwork) {
    for (name, case) in cases {
        let begun = std::time::Instant::now();
        case(stack);
        println!("ok  {name}  {:.1} s", begun.elapsed().as_secs_f64());
        assert_eq!(*before, HostNetwork::look(), "the host's own network has changed after: {name}");
    }
    stack.down();
    assert_eq!(leftovers::of(&stack.state), Vec::<String>::new(), "something was left behind");
}

#[test]
fn a_service_follows_its_load() {
    let before = HostNetwork::look();
    let stack = Stack::with_arguments("../../examples/echo-service", &["--metric-period", "1"]);
    let name = "from one task to three and back";
    all(&stack, &[(name, scaling::a_service_follows_its_load_from_one_to_three_and_back)], &before);
}
