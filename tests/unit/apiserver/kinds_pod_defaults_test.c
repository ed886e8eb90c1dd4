/* SPDX-License-Identifier: Apache-2.0 */
/* What `kubectl get -o yaml` shows of what a pod's author left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/pod.h"
#include "unit/apiserver/kinds_harness.h"

static const struct kinds_suite suite = {
        .ops = &kind_pods,
        .version = "v1",
        .base = "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p','namespace':'default'},"
                "'spec':{'containers':[{'name':'c','image':'nginx:1.25'}]}}",
};

static void a_pod_spec_is_filled_in(void **state)
{
        static const struct kinds_row rows[] = {
                {"{}",
                 "{'spec':{'restartPolicy':'Always','dnsPolicy':'ClusterFirst','schedulerName':'default-scheduler',"
                 "'terminationGracePeriodSeconds':30,'securityContext':{},'enableServiceLinks':true,'volumes':null,"
                 "'serviceAccount':null,'serviceAccountName':null,'hostNetwork':null,"
                 "'containers':[{'name':'c','image':'nginx:1.25','imagePullPolicy':'IfNotPresent',"
                 "'terminationMessagePath':'/dev/termination-log','terminationMessagePolicy':'File'}]}}"},
                {"{'spec':{'restartPolicy':'Never','dnsPolicy':'Default','schedulerName':'mine',"
                 "'terminationGracePeriodSeconds':0,'securityContext':{'runAsUser':1},'enableServiceLinks':false}}",
                 "{'spec':{'restartPolicy':'Never','dnsPolicy':'Default','schedulerName':'mine',"
                 "'terminationGracePeriodSeconds':0,'securityContext':{'runAsUser':1},'enableServiceLinks':false}}"},
                {"{'spec':{'serviceAccountName':'a'}}", "{'spec':{'serviceAccountName':'a','serviceAccount':'a'}}"},
                {"{'spec':{'serviceAccount':'a'}}", "{'spec':{'serviceAccountName':'a','serviceAccount':'a'}}"},
                {"{'spec':{'serviceAccountName':'a','serviceAccount':'b'}}",
                 "{'spec':{'serviceAccountName':'a','serviceAccount':'a'}}"},
        };

        kinds_check_defaults(&suite, rows, ARRAY_SIZE(rows));
}

static void the_pull_policy_follows_the_tag(void **state)
{
        static const struct {
                const char *image, *policy;
        } rows[] = {
                {"nginx", "Always"},
                {"nginx:latest", "Always"},
                {"nginx:1.25", "IfNotPresent"},
                {"nginx@sha256:0123", "IfNotPresent"},
                {"library/nginx", "Always"},
                {"registry.example:5000/team/app", "Always"},
                {"registry.example:5000/team/app:latest", "Always"},
                {"registry.example:5000/team/app:v1", "IfNotPresent"},
                {"localhost/app", "Always"},
                {"Registry/app", "Always"},
                {"Nginx", "IfNotPresent"}, /* no image reference, so it has no tag either */
                {"not an image", "IfNotPresent"},
                {"", "IfNotPresent"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_string_equal(image_pull_policy(rows[i].image), rows[i].policy);
}

static void containers_are_filled_in(void **state)
{
        static const struct kinds_row rows[] = {
                {"{'spec':{'containers':[{'name':'c','image':'a','imagePullPolicy':'Never','terminationMessagePath':'/"
                 "x',"
                 "'terminationMessagePolicy':'FallbackToLogsOnError'}]}}",
                 "{'spec':{'containers':[{'imagePullPolicy':'Never','terminationMessagePath':'/x',"
                 "'terminationMessagePolicy':'FallbackToLogsOnError'}]}}"},
                {"{'spec':{'containers':[{'ports':[{'containerPort':80},{'containerPort':53,'protocol':'UDP'}]}]}}",
                 "{'spec':{'containers':[{'ports':[{'containerPort':80,'protocol':'TCP','hostPort':null},"
                 "{'protocol':'UDP'}]}]}}"},
                {"{'spec':{'containers':[{'livenessProbe':{'httpGet':{'port':80}},'readinessProbe':{'exec':{}},"
                 "'startupProbe':{'grpc':{'port':1},'timeoutSeconds':7}}]}}",
                 "{'spec':{'containers':[{'livenessProbe':{'httpGet':{'port':80,'path':'/','scheme':'HTTP'},"
                 "'timeoutSeconds':1,'periodSeconds':10,'successThreshold':1,'failureThreshold':3,"
                 "'initialDelaySeconds':null},'readinessProbe':{'periodSeconds':10},"
                 "'startupProbe':{'grpc':{'service':''},'timeoutSeconds':7,'periodSeconds':10}}]}}"},
                {"{'spec':{'containers':[{'lifecycle':{'preStop':{'httpGet':{'port':1}},"
                 "'postStart':{'httpGet':{'port':1,'path':'/x','scheme':'HTTPS'}}}}]}}",
                 "{'spec':{'containers':[{'lifecycle':{'preStop':{'httpGet':{'path':'/','scheme':'HTTP'}},"
                 "'postStart':{'httpGet':{'path':'/x','scheme':'HTTPS'}}}}]}}"},
                {"{'spec':{'containers':[{'env':[{'name':'A','valueFrom':{'fieldRef':{'fieldPath':'metadata.name'}}}]}]"
                 "}}",
                 "{'spec':{'containers':[{'env':[{'valueFrom':{'fieldRef':{'apiVersion':'v1'}}}]}]}}"},
                {"{'spec':{'initContainers':[{'name':'i','image':'a'}],'ephemeralContainers':[{'name':'e','image':'a:1'"
                 "}]}}",
                 "{'spec':{'initContainers':[{'imagePullPolicy':'Always','terminationMessagePolicy':'File'}],"
                 "'ephemeralContainers':[{'imagePullPolicy':'IfNotPresent','terminationMessagePolicy':'File'}]}}"},
        };

        kinds_check_defaults(&suite, rows, ARRAY_SIZE(rows));
}

static void requests_come_from_limits(void **state)
{
        static const struct kinds_row rows[] = {
                {"{'spec':{'containers':[{'resources':{'limits':{'cpu':'1','memory':'1Gi'}}}]}}",
                 "{'spec':{'containers':[{'resources':{'requests':{'cpu':'1','memory':'1Gi'}}}]}}"},
                {"{'spec':{'containers':[{'resources':{'limits':{'cpu':'1','memory':'1Gi'},'requests':{'cpu':'500m'}}}]"
                 "}}",
                 "{'spec':{'containers':[{'resources':{'requests':{'cpu':'500m','memory':'1Gi'}}}]}}"},
                {"{'spec':{'containers':[{'resources':{'requests':{'cpu':'1'}}}]}}",
                 "{'spec':{'containers':[{'resources':{'limits':null}}]}}"},
                {"{'spec':{'initContainers':[{'resources':{'limits':{'cpu':'1'}}}]}}",
                 "{'spec':{'initContainers':[{'resources':{'requests':{'cpu':'1'}}}]}}"},
                {"{'spec':{'resources':{'limits':{'cpu':'2'}}}}", "{'spec':{'resources':{'requests':{'cpu':'2'}}}}"},
        };

        kinds_check_defaults(&suite, rows, ARRAY_SIZE(rows));
}

static void the_hosts_network_gives_host_ports(void **state)
{
        static const struct kinds_row rows[] = {
                {"{'spec':{'hostNetwork':true,'containers':[{'ports':[{'containerPort':80},"
                 "{'containerPort':81,'hostPort':82}]}],'initContainers':[{'ports':[{'containerPort':83}]}]}}",
                 "{'spec':{'containers':[{'ports':[{'hostPort':80},{'hostPort':82}]}],"
                 "'initContainers':[{'ports':[{'hostPort':83}]}]}}"},
        };

        kinds_check_defaults(&suite, rows, ARRAY_SIZE(rows));
}

static void volumes_are_filled_in(void **state)
{
        static const struct kinds_row rows[] = {
                {"{'spec':{'volumes':[{'name':'v'}]}}", "{'spec':{'volumes':[{'name':'v','emptyDir':{}}]}}"},
                {"{'spec':{'volumes':[{'secret':{'secretName':'s'}},{'configMap':{'name':'m','defaultMode':0}}]}}",
                 "{'spec':{'volumes':[{'secret':{'defaultMode':420},'emptyDir':null},{'configMap':{'defaultMode':0}}]}"
                 "}"},
                {"{'spec':{'volumes':[{'hostPath':{'path':'/x'}},{'hostPath':{'path':'/x','type':'File'}}]}}",
                 "{'spec':{'volumes':[{'hostPath':{'type':''}},{'hostPath':{'type':'File'}}]}}"},
                {"{'spec':{'volumes':[{'downwardAPI':{'items':[{'path':'a','fieldRef':{'fieldPath':'metadata.name'}}]}}"
                 "]}}",
                 "{'spec':{'volumes':[{'downwardAPI':{'defaultMode':420,'items':[{'fieldRef':{'apiVersion':'v1'}}]}}]}"
                 "}"},
                {"{'spec':{'volumes':[{'projected':{'sources':[{'serviceAccountToken':{'path':'t'}},"
                 "{'downwardAPI':{'items':[{'path':'a','fieldRef':{'fieldPath':'metadata.name'}}]}}]}}]}}",
                 "{'spec':{'volumes':[{'projected':{'defaultMode':420,'sources':["
                 "{'serviceAccountToken':{'expirationSeconds':3600}},"
                 "{'downwardAPI':{'items':[{'fieldRef':{'apiVersion':'v1'}}]}}]}}]}}"},
                {"{'spec':{'volumes':[{'ephemeral':{'volumeClaimTemplate':{'spec':{}}}}]}}",
                 "{'spec':{'volumes':[{'ephemeral':{'volumeClaimTemplate':{'spec':{'volumeMode':'Filesystem'}}}}]}}"},
                {"{'spec':{'volumes':[{'iscsi':{}},{'rbd':{}},{'azureDisk':{}},{'scaleIO':{}},{'image':{'reference':'a'"
                 "}}]}}",
                 "{'spec':{'volumes':[{'iscsi':{'iscsiInterface':'default'}},"
                 "{'rbd':{'pool':'rbd','user':'admin','keyring':'/etc/ceph/keyring'}},"
                 "{'azureDisk':{'cachingMode':'ReadWrite','kind':'Shared','fsType':'ext4','readOnly':false}},"
                 "{'scaleIO':{'storageMode':'ThinProvisioned','fsType':'xfs'}},{'image':{'pullPolicy':'Always'}}]}}"},
        };

        kinds_check_defaults(&suite, rows, ARRAY_SIZE(rows));
}

static void a_new_pod_is_pending_and_has_a_class(void **state)
{
        static const struct kinds_row rows[] = {
                {"{'status':{'phase':'Running','podIP':'1.2.3.4'}}",
                 "{'status':{'phase':'Pending','qosClass':'BestEffort','podIP':null}}"},
                {"{'spec':{'containers':[{'resources':{'limits':{'cpu':'1','memory':'1Gi'}}}]}}",
                 "{'status':{'qosClass':'Guaranteed'}}"},
                {"{'spec':{'containers':[{'resources':{'limits':{'cpu':'1'}}}]}}",
                 "{'status':{'qosClass':'Burstable'}}"},
                {"{'spec':{'containers':[{'resources':{'limits':{'cpu':'1','memory':'1Gi'},'requests':{'cpu':'1m'}}}]}"
                 "}",
                 "{'status':{'qosClass':'Burstable'}}"},
                {"{'spec':{'containers':[{'resources':{'limits':{'cpu':'1','memory':'1Gi'}}},{}]}}",
                 "{'status':{'qosClass':'Burstable'}}"},
                {"{'spec':{'containers':[{'resources':{'requests':{'cpu':'0'}}}]}}",
                 "{'status':{'qosClass':'BestEffort'}}"},
                {"{'spec':{'containers':[{'resources':{'requests':{'ephemeral-storage':'1'}}}]}}",
                 "{'status':{'qosClass':'BestEffort'}}"},
                {"{'spec':{'resources':{'limits':{'cpu':'1','memory':'1'}}}}", "{'status':{'qosClass':'Guaranteed'}}"},
                {"{'spec':{'schedulingGates':[{'name':'a'}]}}",
                 "{'status':{'conditions':[{'type':'PodScheduled','status':'False','reason':'SchedulingGated',"
                 "'message':'Scheduling is blocked due to non-empty scheduling gates'}]}}"},
        };

        kinds_check_create(&suite, rows, ARRAY_SIZE(rows));
}

static void label_keys_become_requirements(void **state)
{
        static const struct kinds_row rows[] = {
                {"{'metadata':{'labels':{'a':'1','b':'2'}},'spec':{'affinity':{'podAntiAffinity':{"
                 "'requiredDuringSchedulingIgnoredDuringExecution':[{'topologyKey':'t','labelSelector':{},"
                 "'matchLabelKeys':['a','c'],'mismatchLabelKeys':['b']}]}}}}",
                 "{'spec':{'affinity':{'podAntiAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[{"
                 "'labelSelector':{'matchExpressions':[{'key':'a','operator':'In','values':['1']},"
                 "{'key':'b','operator':'NotIn','values':['2']}]}}]}}}}"},
        };

        kinds_check_create(&suite, rows, ARRAY_SIZE(rows));
}

static void the_addresses_of_a_status_agree(void **state)
{
        static const struct kinds_row rows[] = {
                {"{'status':{'podIP':'10.0.0.1'}}", "{'status':{'podIPs':[{'ip':'10.0.0.1'}]}}"},
                {"{'status':{'podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'}]}}", "{'status':{'podIP':'10.0.0.1'}}"},
                {"{'status':{'podIP':'10.0.0.2','podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'}]}}",
                 "{'status':{'podIP':'10.0.0.2','podIPs':[{'ip':'10.0.0.2'}]}}"},
        };

        kinds_check_defaults(&suite, rows, ARRAY_SIZE(rows));
}

static void a_template_gets_less_than_a_pod(void **state)
{
        static const struct kinds_suite templates = {
                .ops = &kind_podtemplates,
                .version = "v1",
                .base = "{'template':{'spec':{'hostNetwork':true,'containers':[{'name':'c','image':'a',"
                        "'ports':[{'containerPort':1}],'resources':{'limits':{'cpu':'1'}}}]}}}",
        };
        static const struct kinds_row rows[] = {
                {"{}", "{'template':{'spec':{'enableServiceLinks':null,'restartPolicy':'Always','securityContext':{},"
                       "'containers':[{'imagePullPolicy':'Always','ports':[{'protocol':'TCP','hostPort':null}],"
                       "'resources':{'requests':null}}]}}}"},
        };

        kinds_check_defaults(&templates, rows, ARRAY_SIZE(rows));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_pod_spec_is_filled_in),
                cmocka_unit_test(the_pull_policy_follows_the_tag),
                cmocka_unit_test(containers_are_filled_in),
                cmocka_unit_test(requests_come_from_limits),
                cmocka_unit_test(the_hosts_network_gives_host_ports),
                cmocka_unit_test(volumes_are_filled_in),
                cmocka_unit_test(a_new_pod_is_pending_and_has_a_class),
                cmocka_unit_test(label_keys_become_requirements),
                cmocka_unit_test(the_addresses_of_a_status_agree),
                cmocka_unit_test(a_template_gets_less_than_a_pod),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
