/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, CronJobs: defaults, refusals, changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "apiserver/kinds/kinds.h"
#include "unit/apiserver/kinds_harness.h"
#include "unit/apiserver/kinds_texts.h"

#define TEMPLATE  "'template':{'metadata':{'labels':{'app':'a'}},'spec':{'containers':[{'name':'c','image':'a'}]}}"
#define SELECTOR  "'selector':{'matchLabels':{'app':'a'}}"
#define WORKLOAD  "{'metadata':{'name':'w','namespace':'default'},'spec':{" SELECTOR "," TEMPLATE "}}"
#define SPEC(f)   "{'spec':{" f "}}"
#define STATUS(f) "{'status':{" f "}}"
#define MATCH     "spec.template.metadata.labels: Invalid value: "

static const struct kinds_suite deployments = {.ops = &kind_deployments, .version = "v1", .base = WORKLOAD};
static const struct kinds_suite replicasets = {.ops = &kind_replicasets, .version = "v1", .base = WORKLOAD};
static const struct kinds_suite statefulsets = {.ops = &kind_statefulsets, .version = "v1", .base = WORKLOAD};
static const struct kinds_suite daemonsets = {.ops = &kind_daemonsets, .version = "v1", .base = WORKLOAD};
static const struct kinds_suite controllers = {
        .ops = &kind_replicationcontrollers,
        .version = "v1",
        .base = "{'metadata':{'name':'w','namespace':'default'},'spec':{" TEMPLATE "}}",
};
static const struct kinds_suite jobs = {
        .ops = &kind_jobs,
        .version = "v1",
        .base = "{'metadata':{'name':'j','namespace':'default','uid':'u-1'},'spec':{'template':{'spec':{"
                "'restartPolicy':'Never','containers':[{'name':'c','image':'a'}]}}}}",
};
static const struct kinds_suite cronjobs = {
        .ops = &kind_cronjobs,
        .version = "v1",
        .base = "{'metadata':{'name':'cj','namespace':'default'},'spec':{'schedule':'*/5 * * * *','jobTemplate':{"
                "'spec':{'template':{'spec':{'restartPolicy':'OnFailure','containers':[{'name':'c','image':'a'}]}}}}}}",
};

#define ROWS(what, suite, rows) kinds_check_##what(&suite, rows, ARRAY_SIZE(rows))

static void workloads_are_filled_in(void **state)
{
        static const struct kinds_row of_deployments[] = {
                {"{}",
                 SPEC("'replicas':1,'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':'25%',"
                      "'maxSurge':'25%'}},'revisionHistoryLimit':10,'progressDeadlineSeconds':600,"
                      "'template':{'spec':{'restartPolicy':'Always','containers':[{'imagePullPolicy':'Always'}]}}")},
                {SPEC("'replicas':0,'strategy':{'type':'Recreate'},'revisionHistoryLimit':0"),
                 SPEC("'replicas':0,'strategy':{'type':'Recreate','rollingUpdate':null},'revisionHistoryLimit':0")},
                {SPEC("'strategy':{'rollingUpdate':{'maxSurge':1}}"),
                 SPEC("'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':'25%','maxSurge':1}}")},
        };
        static const struct kinds_row of_replicasets[] = {{"{}", SPEC("'replicas':1,'revisionHistoryLimit':null")}};
        static const struct kinds_row of_controllers[] = {
                {"{}", "{'metadata':{'labels':{'app':'a'}},'spec':{'replicas':1,'selector':{'app':'a'}}}"},
                {"{'metadata':{'labels':{'b':'c'}},'spec':{'selector':{'x':'y'}}}",
                 "{'metadata':{'labels':{'app':null,'b':'c'}},'spec':{'selector':{'app':null,'x':'y'}}}"},
        };
        static const struct kinds_row of_statefulsets[] = {
                {SPEC("'volumeClaimTemplates':[{'metadata':{'name':'d'},'spec':{}}]"),
                 SPEC("'replicas':1,'podManagementPolicy':'OrderedReady','updateStrategy':{'type':'RollingUpdate',"
                      "'rollingUpdate':{'partition':0,'maxUnavailable':1}},'revisionHistoryLimit':10,"
                      "'persistentVolumeClaimRetentionPolicy':{'whenDeleted':'Retain','whenScaled':'Retain'},"
                      "'volumeClaimTemplates':[{'apiVersion':'v1','kind':'PersistentVolumeClaim',"
                      "'spec':{'volumeMode':'Filesystem'},'status':{'phase':'Pending'}}]")},
                {SPEC("'updateStrategy':{'type':'OnDelete'}"), SPEC("'updateStrategy':{'rollingUpdate':null}")},
        };
        static const struct kinds_row of_daemonsets[] = {
                {"{}", "{'metadata':{'annotations':{'deprecated.daemonset.template.generation':'1'}},'spec':{"
                       "'updateStrategy':{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':1,'maxSurge':0}},"
                       "'revisionHistoryLimit':10}}"},
        };

        ROWS(defaults, deployments, of_deployments);
        ROWS(defaults, replicasets, of_replicasets);
        ROWS(defaults, controllers, of_controllers);
        ROWS(defaults, statefulsets, of_statefulsets);
        ROWS(create, daemonsets, of_daemonsets);
}

static void a_workload_selects_its_own_pods(void **state)
{
        static const struct kinds_row rows[] = {
                {"{}", ""},
                {SPEC("'selector':{'matchLabels':{'app':'b'}}"),
                 MATCH "{\"app\":\"a\"}: `selector` does not match template `labels`"},
                {SPEC("'selector':{'matchLabels':{'app':'-'}}"),
                 "spec.selector.matchLabels[app]: Invalid value: \"-\": " TEXT_LABEL_VALUE "\n" MATCH
                 "{\"app\":\"a\"}: `selector` does not match template `labels`"},
                {SPEC("'template':{'spec':{'restartPolicy':'Never'}}"),
                 "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""},
                {SPEC("'template':{'spec':{'containers':null}}"), "spec.template.spec.containers: Required value"},
                {SPEC("'template':{'metadata':{'labels':{'app':'a','b':'-'}}}"),
                 "spec.template.labels[b]: Invalid value: \"-\": " TEXT_LABEL_VALUE},
        };
        static const struct kinds_row empty_deployment[] = {
                {SPEC("'selector':{'matchLabels':null}"),
                 "spec.selector: Invalid value: {}: empty selector is invalid for deployment"},
                {SPEC("'selector':null"), "spec.selector: Required value"},
                {SPEC("'template':{'spec':{'activeDeadlineSeconds':1}}"),
                 "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not "
                 "Supported"},
        };
        static const struct kinds_row empty_statefulset[] = {
                {SPEC("'selector':{'matchLabels':null}"),
                 "spec.selector: Invalid value: {}: empty selector is invalid for statefulset"},
        };
        static const struct kinds_row empty_daemonset[] = {
                {SPEC("'selector':{'matchLabels':null}"),
                 "spec.selector: Invalid value: {}: empty selector is invalid for daemonset"},
        };
        static const struct kinds_row of_controllers[] = {
                {"{}", ""},
                {SPEC("'selector':{'x':'y'}"), MATCH "{\"app\":\"a\"}: `selector` does not match template `labels`"},
                {SPEC("'template':null"), "spec.selector: Required value\nspec.template: Required value"},
                {SPEC("'replicas':-1,'minReadySeconds':-1"),
                 "spec.minReadySeconds: Invalid value: -1: " TEXT_NEGATIVE "\n"
                 "spec.replicas: Invalid value: -1: " TEXT_NEGATIVE},
        };

        ROWS(validate, deployments, rows);
        ROWS(validate, replicasets, rows);
        ROWS(validate, statefulsets, rows);
        ROWS(validate, daemonsets, rows);
        ROWS(validate, deployments, empty_deployment);
        ROWS(validate, replicasets, empty_deployment);
        ROWS(validate, statefulsets, empty_statefulset);
        ROWS(validate, daemonsets, empty_daemonset);
        ROWS(validate, controllers, of_controllers);
}

static void strategies_are_checked(void **state)
{
#define ROLLING(f) SPEC("'strategy':{'rollingUpdate':{" f "}}")
#define RU         "spec.strategy.rollingUpdate."
        static const struct kinds_row of_deployments[] = {
                {SPEC("'strategy':{'type':'x'}"),
                 "spec.strategy: Unsupported value: \"x\": supported values: \"Recreate\", \"RollingUpdate\""},
                {SPEC("'strategy':{'type':'Recreate','rollingUpdate':{}}"),
                 "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"},
                {ROLLING("'maxUnavailable':0,'maxSurge':'0%'"),
                 RU "maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"},
                {ROLLING("'maxUnavailable':'101%'"),
                 RU "maxUnavailable: Invalid value: \"101%\": must not be greater than 100%"},
                {ROLLING("'maxUnavailable':'x'"), RU "maxUnavailable: Invalid value: \"x\": " TEXT_PERCENT},
                {ROLLING("'maxSurge':-1"), RU "maxSurge: Invalid value: -1: " TEXT_NEGATIVE},
                {SPEC("'replicas':-1,'minReadySeconds':-1,'revisionHistoryLimit':-1"),
                 "spec.replicas: Invalid value: -1: " TEXT_NEGATIVE "\n"
                 "spec.minReadySeconds: Invalid value: -1: " TEXT_NEGATIVE "\n"
                 "spec.revisionHistoryLimit: Invalid value: -1: " TEXT_NEGATIVE},
                {SPEC("'minReadySeconds':600"),
                 "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"},
        };
        static const struct kinds_row of_statefulsets[] = {
                {SPEC("'podManagementPolicy':'x'"),
                 "spec.podManagementPolicy: Invalid value: \"x\": must be 'OrderedReady' or 'Parallel'"},
                {SPEC("'updateStrategy':{'type':'x'}"),
                 "spec.updateStrategy: Invalid value: {\"type\":\"x\"}: must be 'RollingUpdate' or 'OnDelete'"},
                {SPEC("'updateStrategy':{'type':'OnDelete','rollingUpdate':{}}"),
                 "spec.updateStrategy.rollingUpdate: Invalid value: {}: only allowed for updateStrategy "
                 "'RollingUpdate'"},
                {SPEC("'updateStrategy':{'rollingUpdate':{'partition':-1,'maxUnavailable':0}}"),
                 "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: " TEXT_NEGATIVE "\n"
                 "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0"},
                {SPEC("'persistentVolumeClaimRetentionPolicy':{'whenDeleted':'x'}"),
                 "spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: \"x\": supported values: "
                 "\"Retain\", \"Delete\""},
                {SPEC("'ordinals':{'start':-1}"), "spec.ordinals.start: Invalid value: -1: " TEXT_NEGATIVE},
                {SPEC("'template':{'spec':{'containers':[{'name':'c','image':'a','volumeMounts':[{'name':'d',"
                      "'mountPath':'/d'}]}]}}"),
                 "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"d\""},
                {SPEC("'template':{'spec':{'containers':[{'name':'c','image':'a','volumeMounts':[{'name':'d',"
                      "'mountPath':'/d'}]}]}},'volumeClaimTemplates':[{'metadata':{'name':'d'},'spec':{'accessModes':"
                      "['ReadWriteOnce'],'resources':{'requests':{'storage':'1Gi'}}}}]"),
                 ""},
                {SPEC("'volumeClaimTemplates':[{'metadata':{'name':'d'},'spec':{'accessModes':['ReadWriteOnce']}}]"),
                 "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value"},
        };
        static const struct kinds_row of_daemonsets[] = {
                {SPEC("'updateStrategy':{'type':'x'}"),
                 "spec.updateStrategy: Unsupported value: \"x\": supported values: \"RollingUpdate\", \"OnDelete\""},
                {SPEC("'updateStrategy':{'rollingUpdate':{'maxSurge':1}}"),
                 "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is "
                 "non-zero"},
                {SPEC("'updateStrategy':{'rollingUpdate':{'maxUnavailable':0}}"),
                 "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"},
                {SPEC("'updateStrategy':{'type':'OnDelete'}"), ""},
        };

        ROWS(validate, deployments, of_deployments);
        ROWS(validate, statefulsets, of_statefulsets);
        ROWS(validate, daemonsets, of_daemonsets);
}

static void updates_keep_selectors(void **state)
{
        static const struct kinds_update_row rows[] = {
                {NULL, SPEC("'replicas':5"), ""},
                {NULL, SPEC("'selector':{'matchLabels':{'app':'b'}}"),
                 "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable"},
        };
        static const struct kinds_update_row of_statefulsets[] = {
                {NULL, SPEC("'replicas':5,'minReadySeconds':1,'template':{'spec':{'nodeName':'x'}}"), ""},
                {NULL, SPEC("'serviceName':'x'"),
                 "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', "
                 "'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                 "'minReadySeconds' are forbidden"},
        };
        static const struct kinds_update_row revisions[] = {
                {NULL, "{'revision':2}", ""},
                {NULL, "{'data':{'a':2}}", "data: Invalid value: {\"a\":2}: field is immutable"},
        };
        static const struct kinds_suite controllerrevisions = {
                .ops = &kind_controllerrevisions, .version = "v1", .base = "{'data':{'a':1},'revision':1}"};
        static const struct kinds_row bad_revisions[] = {
                {"{}", ""},
                {"{'data':null,'revision':-1}",
                 "data: Required value: data is mandatory\nrevision: Invalid value: -1: " TEXT_NEGATIVE},
        };

        ROWS(update, deployments, rows);
        ROWS(update, replicasets, rows);
        ROWS(update, daemonsets, rows);
        ROWS(update, statefulsets, of_statefulsets);
        ROWS(update, controllerrevisions, revisions);
        ROWS(validate, controllerrevisions, bad_revisions);
}

static void statuses_add_up(void **state)
{
        static const struct kinds_update_row rows[] = {
                {NULL, STATUS("'replicas':2,'readyReplicas':2,'availableReplicas':1"), ""},
                {NULL, STATUS("'replicas':1,'observedGeneration':-1"),
                 "status.observedGeneration: Invalid value: -1: " TEXT_NEGATIVE},
                {NULL, STATUS("'replicas':1,'readyReplicas':2"),
                 "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"},
                {NULL, STATUS("'replicas':2,'readyReplicas':1,'availableReplicas':2"),
                 "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas"},
        };
        static const struct kinds_update_row of_deployments[] = {
                {STATUS("'collisionCount':2"), STATUS("'collisionCount':1"),
                 "status.collisionCount: Invalid value: 1: cannot be decremented"},
        };
        static const struct kinds_update_row of_jobs[] = {
                {NULL, STATUS("'active':1,'ready':1"), ""},
                {NULL, STATUS("'active':-1"),
                 "status.active: Invalid value: -1: " TEXT_NEGATIVE "\n"
                 "status.ready: Invalid value: 0: cannot set more ready pods than active"},
                {NULL, STATUS("'completionTime':'2026-01-01T00:00:00Z'"),
                 "status.completionTime: Invalid value: \"2026-01-01T00:00:00Z\": cannot set completionTime when "
                 "there is no Complete=True condition"},
                {STATUS("'failed':2"), STATUS("'failed':1"),
                 "status.failed: Invalid value: 1: cannot decrease the failed counter"},
                {STATUS("'conditions':[{'type':'FailureTarget','status':'True'}]"), STATUS("'conditions':[]"),
                 "status.conditions: Invalid value: []: cannot disable the terminal FailureTarget=True condition"},
        };

        ROWS(status, deployments, rows);
        ROWS(status, replicasets, rows);
        ROWS(status, statefulsets, rows);
        ROWS(status, deployments, of_deployments);
        ROWS(status, jobs, of_jobs);
}

static void jobs_are_filled_in(void **state)
{
        static const struct kinds_row rows[] = {
                {"{}", "{'metadata':{'labels':null},'spec':{'completions':1,'parallelism':1,'backoffLimit':6,"
                       "'completionMode':'NonIndexed','suspend':false,'podReplacementPolicy':'TerminatingOrFailed',"
                       "'manualSelector':false,'selector':{'matchLabels':{'batch.kubernetes.io/controller-uid':'u-1'}},"
                       "'template':{'metadata':{'labels':{'batch.kubernetes.io/controller-uid':'u-1',"
                       "'batch.kubernetes.io/job-name':'j','controller-uid':'u-1','job-name':'j'}}}}}"},
                {SPEC("'parallelism':3"), SPEC("'completions':null,'parallelism':3")},
                {SPEC("'completions':3"), SPEC("'completions':3,'parallelism':1")},
                {SPEC("'backoffLimitPerIndex':1"), SPEC("'backoffLimit':2147483647")},
                {SPEC("'podFailurePolicy':{'rules':[{'onPodConditions':[{'type':'a'}]}]}"),
                 SPEC("'podReplacementPolicy':'Failed','podFailurePolicy':{'rules':[{'onPodConditions':[{"
                      "'status':'True'}]}]}")},
                {SPEC("'template':{'metadata':{'labels':{'a':'b'}}}"), "{'metadata':{'labels':{'a':'b'}}}"},
                {SPEC("'manualSelector':true"), SPEC("'selector':null,'template':{'metadata':null}")},
        };
        static const struct kinds_row of_cronjobs[] = {
                {"{}", SPEC("'concurrencyPolicy':'Allow','suspend':false,'successfulJobsHistoryLimit':3,"
                            "'failedJobsHistoryLimit':1,'jobTemplate':{'spec':{'completions':null,'backoffLimit':null,"
                            "'template':{'spec':{'schedulerName':'default-scheduler'}}}}")},
        };

        ROWS(create, jobs, rows);
        ROWS(defaults, cronjobs, of_cronjobs);
}

static void jobs_are_checked(void **state)
{
#define INDEXED(f) SPEC("'completionMode':'Indexed','completions':5," f)
        static const struct kinds_row rows[] = {
                {"{}", ""},
                {SPEC("'template':{'spec':{'restartPolicy':null}}"),
                 "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""},
                {SPEC("'parallelism':-1,'completions':-1,'activeDeadlineSeconds':-1,'backoffLimit':-1,"
                      "'ttlSecondsAfterFinished':-1"),
                 "spec.parallelism: Invalid value: -1: " TEXT_NEGATIVE "\n"
                 "spec.completions: Invalid value: -1: " TEXT_NEGATIVE "\n"
                 "spec.activeDeadlineSeconds: Invalid value: -1: " TEXT_NEGATIVE "\n"
                 "spec.backoffLimit: Invalid value: -1: " TEXT_NEGATIVE "\n"
                 "spec.ttlSecondsAfterFinished: Invalid value: -1: " TEXT_NEGATIVE},
                {SPEC("'completionMode':'x'"), "spec.completionMode: Unsupported value: \"x\": supported values: "
                                               "\"NonIndexed\", \"Indexed\""},
                {SPEC("'completionMode':'Indexed','completions':null,'parallelism':1"),
                 "spec.completions: Required value: when completion mode is Indexed"},
                {SPEC("'backoffLimitPerIndex':1"),
                 "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"},
                {INDEXED("'maxFailedIndexes':6,'backoffLimitPerIndex':1"),
                 "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions"},
                {INDEXED("'maxFailedIndexes':1"),
                 "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"},
                {SPEC("'managedBy':'x'"),
                 "spec.managedBy: Invalid value: \"x\": must be a domain-prefixed path (such as \"acme.io/foo\")"},
                {SPEC("'podReplacementPolicy':'x'"),
                 "spec.podReplacementPolicy: Unsupported value: \"x\": supported values: \"Failed\", "
                 "\"TerminatingOrFailed\""},
                {SPEC("'podFailurePolicy':{'rules':[{'action':'FailJob','onExitCodes':{'operator':'In',"
                      "'values':[0,2,1]}}]}"),
                 "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In "
                 "operator\n"
                 "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [0,2,1]: must be ordered"},
                {SPEC("'podFailurePolicy':{'rules':[{'action':'x'}]}"),
                 "spec.podFailurePolicy.rules[0].action: Unsupported value: \"x\": supported values: \"Count\", "
                 "\"FailIndex\", \"FailJob\", \"Ignore\"\n"
                 "spec.podFailurePolicy.rules[0]: Invalid value: {\"action\":\"x\"}: specifying one of OnExitCodes and "
                 "OnPodConditions is required"},
                {SPEC("'successPolicy':{'rules':[]}"),
                 "spec.successPolicy: Invalid value: {\"rules\":[]}: requires indexed completion mode"},
                {INDEXED("'successPolicy':{'rules':[{'succeededIndexes':'0-2,4'}]}"), ""},
                {INDEXED("'successPolicy':{'rules':[{'succeededIndexes':'2,1'}]}"),
                 "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"2,1\": error parsing "
                 "succeededIndexes: non-increasing order, previous: 2, current: 1"},
                {INDEXED("'successPolicy':{'rules':[{'succeededIndexes':'0-5'}]}"),
                 "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"0-5\": error parsing "
                 "succeededIndexes: too large index: \"5\""},
                {SPEC("'manualSelector':true"),
                 "spec.selector: Required value\n" MATCH "null: `selector` does not match template `labels`"},
                {SPEC("'template':{'metadata':{'labels':{'controller-uid':'x'}}}"),
                 "spec.template.metadata.labels[controller-uid]: Invalid value: "
                 "{\"controller-uid\":\"x\",\"job-name\":\"j\",\"batch.kubernetes.io/job-name\":\"j\"}: must be "
                 "'u-1'\n"
                 "spec.template.metadata.labels[batch.kubernetes.io/controller-uid]: Required value: must be "
                 "'u-1'\n" MATCH
                 "{\"controller-uid\":\"x\",\"job-name\":\"j\",\"batch.kubernetes.io/job-name\":\"j\"}: `selector` "
                 "does not match template `labels`"},
        };
        static const struct kinds_update_row updates[] = {
                {NULL, SPEC("'parallelism':4,'suspend':true"), ""},
                {NULL, SPEC("'completions':4"), "spec.completions: Invalid value: 4: field is immutable"},
                {NULL, SPEC("'completionMode':'Indexed'"),
                 "spec.completionMode: Invalid value: \"Indexed\": field is immutable"},
                {SPEC("'completionMode':'Indexed','completions':2"), SPEC("'completions':3,'parallelism':3"), ""},
                {SPEC("'completionMode':'Indexed','completions':2"), SPEC("'completions':3"),
                 "spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"},
                {SPEC("'suspend':true"), SPEC("'template':{'spec':{'nodeSelector':{'a':'b'}}}"), ""},
        };

        ROWS(validate, jobs, rows);
        ROWS(update, jobs, updates);
}

static void schedules_are_checked(void **state)
{
#define CRON(text) SPEC("'schedule':'" text "'")
#define BAD(text)  "spec.schedule: Invalid value: \"" text "\": "
        static const struct kinds_row rows[] = {
                {"{}", ""},
                {CRON("0 9-17/2 1,15 jan-JUN mon"), ""},
                {CRON("@hourly"), ""},
                {CRON("@every 1h30m"), ""},
                {SPEC("'schedule':null"), "spec.schedule: Required value"},
                {CRON("* * * *"), BAD("* * * *") "expected exactly 5 fields, found 4: [* * * *]"},
                {CRON("60 * * * *"), BAD("60 * * * *") "end of range (60) above maximum (59): 60"},
                {CRON("* * 0 * *"), BAD("* * 0 * *") "beginning of range (0) below minimum (1): 0"},
                {CRON("5-3 * * * *"), BAD("5-3 * * * *") "beginning of range (5) beyond end of range (3): 5-3"},
                {CRON("*/0 * * * *"), BAD("*/0 * * * *") "step of range should be a positive number: */0"},
                {CRON("a * * * *"), BAD("a * * * *") "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid "
                                                     "syntax"},
                {CRON("1-2-3 * * * *"), BAD("1-2-3 * * * *") "too many hyphens: 1-2-3"},
                {CRON("@never"), BAD("@never") "unrecognized descriptor: @never"},
                {CRON("TZ=UTC * * * * *"),
                 BAD("TZ=UTC * * * * *") "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"},
                {SPEC("'timeZone':'Etc/../UTC'"), "spec.timeZone: Invalid value: \"Etc/../UTC\": unknown time zone "
                                                  "Etc/../UTC"},
                {SPEC("'timeZone':'Local'"),
                 "spec.timeZone: Invalid value: \"Local\": timeZone must be an explicit time zone as defined in "
                 "https://www.iana.org/time-zones"},
                {SPEC("'timeZone':''"), "spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string"},
                {SPEC("'concurrencyPolicy':'x'"), "spec.concurrencyPolicy: Unsupported value: \"x\": supported values: "
                                                  "\"Allow\", \"Forbid\", \"Replace\""},
                {SPEC("'startingDeadlineSeconds':-1,'successfulJobsHistoryLimit':-1,'failedJobsHistoryLimit':-1"),
                 "spec.startingDeadlineSeconds: Invalid value: -1: " TEXT_NEGATIVE "\n"
                 "spec.successfulJobsHistoryLimit: Invalid value: -1: " TEXT_NEGATIVE "\n"
                 "spec.failedJobsHistoryLimit: Invalid value: -1: " TEXT_NEGATIVE},
                {SPEC("'jobTemplate':{'spec':{'selector':{},'manualSelector':true}}"),
                 "spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated\n"
                 "spec.jobTemplate.spec.manualSelector: Unsupported value: \"true\": supported values: \"nil\", "
                 "\"false\""},
                {"{'metadata':{'name':'a234567890123456789012345678901234567890123456789012x'}}",
                 "metadata.name: Invalid value: \"a234567890123456789012345678901234567890123456789012x\": must be no "
                 "more than 52 characters"},
        };

        ROWS(validate, cronjobs, rows);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(workloads_are_filled_in), cmocka_unit_test(a_workload_selects_its_own_pods),
                cmocka_unit_test(strategies_are_checked),  cmocka_unit_test(updates_keep_selectors),
                cmocka_unit_test(statuses_add_up),         cmocka_unit_test(jobs_are_filled_in),
                cmocka_unit_test(jobs_are_checked),        cmocka_unit_test(schedules_are_checked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
