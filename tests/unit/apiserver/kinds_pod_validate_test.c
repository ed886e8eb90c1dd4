/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused of a pod, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "apiserver/kinds/kinds.h"
#include "unit/apiserver/kinds_harness.h"
#include "unit/apiserver/kinds_texts.h"

static const struct kinds_suite suite = {
        .ops = &kind_pods,
        .version = "v1",
        .base = "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p','namespace':'default'},"
                "'spec':{'serviceAccountName':'default','containers':[{'name':'c','image':'nginx:1.25'}],"
                "'volumes':[{'name':'v','emptyDir':{}},{'name':'pvc','persistentVolumeClaim':{'claimName':'x'}}]}}",
};

#define ROWS(rows) kinds_check_validate(&suite, rows, ARRAY_SIZE(rows))
#define C(fields)  "{'spec':{'containers':[{'name':'c','image':'a'," fields "}]}}"
#define AT         "spec.containers[0]."

static void containers_are_checked(void **state)
{
        static const struct kinds_row rows[] = {
                {"{}", ""},
                {"{'spec':{'containers':null}}", "spec.containers: Required value"},
                {"{'spec':{'containers':[{'image':'a'}]}}", AT "name: Required value"},
                {"{'spec':{'containers':[{'name':'A','image':'a'}]}}", AT "name: Invalid value: \"A\": " TEXT_LABEL},
                {"{'spec':{'containers':[{'name':'c'}]}}", AT "image: Required value"},
                {"{'spec':{'containers':[{'name':'c','image':' a'}]}}",
                 AT "image: Invalid value: \" a\": must not have leading or trailing whitespace"},
                {"{'spec':{'containers':[{'name':'c','image':'a'},{'name':'c','image':'a'}]}}",
                 "spec.containers[1].name: Duplicate value: \"c\""},
                {C("'imagePullPolicy':'Sometimes'"), AT "imagePullPolicy: Unsupported value: \"Sometimes\": supported "
                                                        "values: \"Always\", \"IfNotPresent\", \"Never\""},
                {C("'terminationMessagePolicy':'x'"),
                 AT "terminationMessagePolicy: Unsupported value: \"x\": supported values: \"File\", "
                    "\"FallbackToLogsOnError\""},
                {C("'resizePolicy':[{'resourceName':'cpu','restartPolicy':'NotRequired'}]"), ""},
                {C("'resizePolicy':[{'resourceName':'gpu','restartPolicy':'x'}]"),
                 AT "resizePolicy: Unsupported value: \"gpu\": supported values: \"cpu\", \"memory\"\n" AT
                    "resizePolicy: Unsupported value: \"x\": supported values: \"NotRequired\", \"RestartContainer\""},
                {C("'resizePolicy':[{'resourceName':'cpu','restartPolicy':'NotRequired'},"
                   "{'resourceName':'cpu','restartPolicy':'NotRequired'}]"),
                 AT "resizePolicy[1]: Duplicate value: \"cpu\""},
                {C("'restartPolicy':'x'"),
                 AT "restartPolicy: Unsupported value: \"x\": supported values: \"Always\", \"Never\", \"OnFailure\""},
        };

        ROWS(rows);
}

static void ports_are_checked(void **state)
{
        static const struct kinds_row rows[] = {
                {C("'ports':[{'containerPort':80,'name':'http'},{'containerPort':81,'name':'x','hostPort':1}]"), ""},
                {C("'ports':[{}]"), AT "ports[0].containerPort: Required value"},
                {C("'ports':[{'containerPort':65536}]"), AT "ports[0].containerPort: Invalid value: 65536: " TEXT_PORT},
                {C("'ports':[{'containerPort':1,'hostPort':-1}]"),
                 AT "ports[0].hostPort: Invalid value: -1: " TEXT_PORT},
                {C("'ports':[{'containerPort':1,'protocol':'tcp'}]"),
                 AT "ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\""},
                {C("'ports':[{'containerPort':1,'name':'a-much-too-long-name'}]"),
                 AT "ports[0].name: Invalid value: \"a-much-too-long-name\": must be no more than 15 bytes"},
                {C("'ports':[{'containerPort':1,'name':'1'}]"),
                 AT "ports[0].name: Invalid value: \"1\": must contain at least one letter (a-z)"},
                {C("'ports':[{'containerPort':1,'name':'a'},{'containerPort':2,'name':'a'}]"),
                 AT "ports[1].name: Duplicate value: \"a\""},
                {C("'ports':[{'containerPort':1,'hostPort':9},{'containerPort':2,'hostPort':9}]"),
                 AT "ports[1].hostPort: Duplicate value: \"TCP//9\""},
                {C("'ports':[{'containerPort':1,'hostPort':9},{'containerPort':2,'hostPort':9,'protocol':'UDP'}]"), ""},
                {"{'spec':{'hostNetwork':true,'containers':[{'name':'c','image':'a','ports':[{'containerPort':1,"
                 "'hostPort':2}]}]}}",
                 AT "ports[0].hostPort: Invalid value: 2: must match `containerPort` when `hostNetwork` is true"},
        };

        ROWS(rows);
}

static void env_is_checked(void **state)
{
#define FROM(fields) C("'env':[{'name':'A','valueFrom':{" fields "}}]")
#define ENV          AT "env[0].valueFrom"
        static const struct kinds_row rows[] = {
                {C("'env':[{'name':'A','value':'b'},{'name':'a.b-c'}]"), ""},
                {C("'env':[{}]"), AT "env[0].name: Required value"},
                {C("'env':[{'name':'a=b'}]"),
                 AT "env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only of "
                    "printable ASCII characters other than '='"},
                {FROM(""), ENV ": Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, "
                               "`configMapKeyRef` or `secretKeyRef`"},
                {C("'env':[{'name':'A','value':'x','valueFrom':{'secretKeyRef':{'name':'a','key':'b'}}}]"),
                 ENV ": Invalid value: \"\": may not be specified when `value` is not empty"},
                {FROM("'secretKeyRef':{'name':'a','key':'b'},'configMapKeyRef':{'name':'a','key':'b'}"),
                 ENV ": Invalid value: \"\": may not have more than one field specified at a time"},
                {FROM("'secretKeyRef':{'name':'a'}"), ENV ".secretKeyRef.key: Required value"},
                {FROM("'configMapKeyRef':{'name':'a','key':'!'}"),
                 ENV ".configMapKeyRef.key: Invalid value: \"!\": " TEXT_CONFIG_KEY},
                {FROM("'configMapKeyRef':{'name':'A','key':'b'}"),
                 ENV ".configMapKeyRef.name: Invalid value: \"A\": " TEXT_SUBDOMAIN},
                {FROM("'fieldRef':{'fieldPath':'metadata.name'}"), ""},
                {FROM("'fieldRef':{'fieldPath':'metadata.labels[~app~]'}"), ""},
                {FROM("'fieldRef':{}"), ENV ".fieldRef.fieldPath: Required value"},
                {FROM("'fieldRef':{'fieldPath':'spec.foo'}"),
                 ENV ".fieldRef.fieldPath: Invalid value: \"spec.foo\": error converting fieldPath: field label not "
                     "supported: spec.foo"},
                {FROM("'fieldRef':{'fieldPath':'metadata.labels'}"),
                 ENV ".fieldRef.fieldPath: Unsupported value: \"metadata.labels\": supported values: "
                     "\"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", "
                     "\"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", "
                     "\"status.podIPs\""},
                {FROM("'fieldRef':{'apiVersion':'v2','fieldPath':'metadata.name'}"),
                 ENV ".fieldRef.fieldPath: Invalid value: \"metadata.name\": error converting fieldPath: unsupported "
                     "pod version: v2"},
                {FROM("'resourceFieldRef':{'resource':'limits.cpu','divisor':'1m'}"), ""},
                {FROM("'resourceFieldRef':{}"), ENV ".resourceFieldRef.resource: Required value"},
                {FROM("'resourceFieldRef':{'resource':'cpu'}"),
                 ENV ".resourceFieldRef.resource: Unsupported value: \"cpu\": supported values: \"limits.cpu\", "
                     "\"limits.ephemeral-storage\", \"limits.memory\", \"requests.cpu\", "
                     "\"requests.ephemeral-storage\", \"requests.memory\""},
                {FROM("'resourceFieldRef':{'resource':'limits.cpu','divisor':'2'}"),
                 ENV ".resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are "
                     "supported with the cpu resource"},
                {FROM("'resourceFieldRef':{'resource':'limits.memory','divisor':'1m'}"),
                 ENV ".resourceFieldRef.divisor: Invalid value: \"limits.memory\": only divisor's values 1, 1k, 1M, "
                     "1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource"},
                {C("'envFrom':[{'configMapRef':{'name':'a'}},{'secretRef':{'name':'a'},'prefix':'X_'}]"), ""},
                {C("'envFrom':[{}]"),
                 AT "envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`"},
                {C("'envFrom':[{'configMapRef':{'name':'a'},'secretRef':{'name':'a'}}]"),
                 AT "envFrom: Invalid value: \"\": may not have more than one field specified at a time"},
                {C("'envFrom':[{'configMapRef':{}}]"), AT "envFrom[0].configMapRef.name: Required value"},
                {C("'envFrom':[{'secretRef':{}}]"), AT "envFrom[0].secretRef.name: Required value"},
        };

        ROWS(rows);
}

static void mounts_are_checked(void **state)
{
        static const struct kinds_row rows[] = {
                {C("'volumeMounts':[{'name':'v','mountPath':'/a','subPath':'b/c'}]"), ""},
                {C("'volumeMounts':[{'name':'w','mountPath':'/a'}]"), AT "volumeMounts[0].name: Not found: \"w\""},
                {C("'volumeMounts':[{'mountPath':'/a'}]"),
                 AT "volumeMounts[0].name: Required value\n" AT "volumeMounts[0].name: Not found: \"\""},
                {C("'volumeMounts':[{'name':'v'}]"), AT "volumeMounts[0].mountPath: Required value"},
                {C("'volumeMounts':[{'name':'v','mountPath':'/a'},{'name':'pvc','mountPath':'/a'}]"),
                 AT "volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique"},
                {C("'volumeMounts':[{'name':'v','mountPath':'/a','subPath':'/b'}]"),
                 AT "volumeMounts.subPath: Invalid value: \"/b\": must be a relative path"},
                {C("'volumeMounts':[{'name':'v','mountPath':'/a','subPath':'b/../c'}]"),
                 AT "volumeMounts.subPath: Invalid value: \"b/../c\": must not contain '..'"},
                {C("'volumeMounts':[{'name':'v','mountPath':'/a','subPath':'b','subPathExpr':'c'}]"),
                 AT "volumeMounts[0].subPathExpr: Invalid value: \"c\": subPathExpr and subPath are mutually "
                    "exclusive"},
                {C("'volumeMounts':[{'name':'v','mountPath':'/a','mountPropagation':'x'}]"),
                 AT "volumeMounts.mountPropagation: Unsupported value: \"x\": supported values: \"Bidirectional\", "
                    "\"HostToContainer\", \"None\""},
                {C("'volumeMounts':[{'name':'v','mountPath':'/a','mountPropagation':'Bidirectional'}]"),
                 AT "volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to "
                    "privileged containers"},
                {C("'volumeMounts':[{'name':'v','mountPath':'/a','recursiveReadOnly':'Enabled'}]"),
                 AT "volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true"},
                {C("'volumeMounts':[{'name':'v','mountPath':'/a','readOnly':true,'recursiveReadOnly':'x'}]"),
                 AT "volumeMounts.recursiveReadOnly: Unsupported value: \"x\": supported values: \"Disabled\", "
                    "\"Enabled\", \"IfPossible\""},
                {"{'spec':{'volumes':[{'name':'i','image':{'reference':'a'}}],'containers':[{'name':'c','image':'a',"
                 "'volumeMounts':[{'name':'i','mountPath':'/i','subPath':'x'}]}]}}",
                 AT "volumeMounts[0].subPath: Invalid value: \"x\": not allowed in image volume sources"},
                {C("'volumeDevices':[{'name':'pvc','devicePath':'/dev/x'}]"), ""},
                {C("'volumeDevices':[{'name':'v','devicePath':'/dev/x'}]"),
                 AT "volumeDevices[0].name: Invalid value: \"v\": can only use volume source type of "
                    "PersistentVolumeClaim or Ephemeral for block mode"},
                {C("'volumeDevices':[{'name':'w','devicePath':'/dev/x'}]"),
                 AT "volumeDevices[0].name: Not found: \"w\""},
                {C("'volumeDevices':[{'name':'pvc'}]"), AT "volumeDevices[0].devicePath: Required value"},
                {C("'volumeDevices':[{'name':'pvc','devicePath':'/a/..'}]"),
                 AT "volumeDevices[0].devicePath: Invalid value: \"/a/..\": can not contain backsteps ('..')"},
                {C("'volumeDevices':[{'name':'pvc','devicePath':'/a'},{'name':'pvc','devicePath':'/a'}]"),
                 AT "volumeDevices[1].name: Invalid value: \"pvc\": must be unique\n" AT
                    "volumeDevices[1].devicePath: Invalid value: \"/a\": must be unique"},
                {C("'volumeMounts':[{'name':'pvc','mountPath':'/a'}],'volumeDevices':[{'name':'pvc','devicePath':'/"
                   "a'}]"),
                 AT "volumeMounts[0].name: Invalid value: \"pvc\": must not already exist in volumeDevices\n" AT
                    "volumeMounts[0].mountPath: Invalid value: \"/a\": must not already exist as a path in "
                    "volumeDevices\n" AT
                    "volumeDevices[0].name: Invalid value: \"pvc\": must not already exist in volumeMounts\n" AT
                    "volumeDevices[0].devicePath: Invalid value: \"/a\": must not already exist as a path in "
                    "volumeMounts"},
        };

        ROWS(rows);
}

static void probes_and_hooks_are_checked(void **state)
{
        static const struct kinds_row rows[] = {
                {C("'livenessProbe':{'httpGet':{'port':'http'}},'readinessProbe':{'exec':{'command':['a']}},"
                   "'startupProbe':{'tcpSocket':{'port':1}}"),
                 ""},
                {C("'livenessProbe':{}"), AT "livenessProbe: Required value: must specify a handler type"},
                {C("'livenessProbe':{'exec':{'command':['a']},'tcpSocket':{'port':1}}"),
                 AT "livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"},
                {C("'livenessProbe':{'exec':{}}"), AT "livenessProbe.exec.command: Required value"},
                {C("'livenessProbe':{'httpGet':{}}"), AT "livenessProbe.httpGet.port: Invalid value: 0: " TEXT_PORT},
                {C("'livenessProbe':{'httpGet':{'port':'HTTP'}}"),
                 AT "livenessProbe.httpGet.port: Invalid value: \"HTTP\": must contain only alpha-numeric characters "
                    "(a-z, 0-9), and hyphens (-)\n" AT
                    "livenessProbe.httpGet.port: Invalid value: \"HTTP\": must contain at least one letter (a-z)"},
                {C("'livenessProbe':{'httpGet':{'port':1,'scheme':'http'}}"),
                 AT "livenessProbe.httpGet.scheme: Unsupported value: \"http\": supported values: \"HTTP\", "
                    "\"HTTPS\""},
                {C("'livenessProbe':{'httpGet':{'port':1,'httpHeaders':[{'name':'a b'}]}}"),
                 AT "livenessProbe.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header must consist of "
                    "alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is "
                    "'[-A-Za-z0-9]+')"},
                {C("'livenessProbe':{'tcpSocket':{'port':70000}}"),
                 AT "livenessProbe.tcpSocket.port: Invalid value: 70000: " TEXT_PORT},
                {C("'livenessProbe':{'grpc':{'port':0}}"), AT "livenessProbe.grpc.port: Invalid value: 0: " TEXT_PORT},
                {C("'livenessProbe':{'exec':{'command':['a']},'successThreshold':2}"),
                 AT "livenessProbe.successThreshold: Invalid value: 2: must be 1"},
                {C("'startupProbe':{'exec':{'command':['a']},'successThreshold':2}"),
                 AT "startupProbe.successThreshold: Invalid value: 2: must be 1"},
                {C("'readinessProbe':{'exec':{'command':['a']},'successThreshold':2}"), ""},
                {C("'readinessProbe':{'exec':{'command':['a']},'initialDelaySeconds':-1,'timeoutSeconds':-2,"
                   "'periodSeconds':-3,'successThreshold':-4,'failureThreshold':-5}"),
                 AT "readinessProbe.initialDelaySeconds: Invalid value: -1: " TEXT_NEGATIVE "\n" AT
                    "readinessProbe.timeoutSeconds: Invalid value: -2: " TEXT_NEGATIVE "\n" AT
                    "readinessProbe.periodSeconds: Invalid value: -3: " TEXT_NEGATIVE "\n" AT
                    "readinessProbe.successThreshold: Invalid value: -4: " TEXT_NEGATIVE "\n" AT
                    "readinessProbe.failureThreshold: Invalid value: -5: " TEXT_NEGATIVE},
                {C("'livenessProbe':{'exec':{'command':['a']},'terminationGracePeriodSeconds':0}"),
                 AT "livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0"},
                {C("'readinessProbe':{'exec':{'command':['a']},'terminationGracePeriodSeconds':1}"),
                 AT "readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for "
                    "readinessProbes"},
                {C("'lifecycle':{'preStop':{'sleep':{'seconds':5}},'postStart':{'exec':{'command':['a']}}}"), ""},
                {C("'lifecycle':{'preStop':{'sleep':{'seconds':31}}}"),
                 AT "lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than "
                    "terminationGracePeriodSeconds (30)"},
                {C("'lifecycle':{'postStart':{}}"),
                 AT "lifecycle.postStart: Required value: must specify a handler type"},
        };

        ROWS(rows);
}

static void resources_are_checked(void **state)
{
#define RES(fields) C("'resources':{" fields "}")
        static const struct kinds_row rows[] = {
                {RES("'limits':{'cpu':'1','memory':'1Gi','example.com/gpu':'1','ephemeral-storage':'1'}"), ""},
                {RES("'limits':{'cpu':'-1'}"), AT "resources.limits[cpu]: Invalid value: \"-1\": " TEXT_NEGATIVE "\n" AT
                                                  "resources.requests[cpu]: Invalid value: \"-1\": " TEXT_NEGATIVE},
                {RES("'requests':{'cpu':'2'},'limits':{'cpu':'1'}"),
                 AT "resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1"},
                {RES("'requests':{'cpu':'1'},'limits':{'cpu':'1000m'}"), ""},
                {RES("'requests':{'disk':'1'}"),
                 AT "resources.requests[disk]: Invalid value: \"disk\": must be a standard resource type or fully "
                    "qualified\n" AT
                    "resources.requests[disk]: Invalid value: \"disk\": must be a standard resource for containers"},
                {RES("'requests':{'pods':'1'}"),
                 AT "resources.requests[pods]: Invalid value: \"pods\": must be a standard resource for containers"},
                {RES("'requests':{'-x':'1'}"), AT "resources.requests[-x]: Invalid value: \"-x\": " TEXT_QUALIFIED},
                {RES("'requests':{'example.com/gpu':'1'}"),
                 AT "resources.limits: Required value: Limit must be set for non overcommitable resources"},
                {RES("'requests':{'example.com/gpu':'1'},'limits':{'example.com/gpu':'2'}"),
                 AT "resources.requests: Invalid value: \"1\": must be equal to example.com/gpu limit of 2"},
                {RES("'limits':{'example.com/gpu':'500m'}"),
                 AT "resources.limits[example.com/gpu]: Invalid value: \"500m\": must be an integer\n" AT
                    "resources.requests[example.com/gpu]: Invalid value: \"500m\": must be an integer"},
                {RES("'limits':{'hugepages-2Mi':'4Mi','cpu':'1'}"), ""},
                {RES("'limits':{'hugepages-2Mi':'4Mi'}"), AT "resources: Forbidden: HugePages require cpu or memory"},
                {RES("'limits':{'hugepages-2Mi':'3Mi','cpu':'1'}"),
                 AT "resources.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of "
                    "hugepages-2Mi\n" AT
                    "resources.requests[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple "
                    "of hugepages-2Mi"},
                {RES("'claims':[{'name':'x'}]"), AT "resources.claims[0]: Not found: \"x\""},
                {"{'spec':{'overhead':{'cpu':'-1'}}}",
                 "spec.overhead.limits[cpu]: Invalid value: \"-1\": " TEXT_NEGATIVE},
                {"{'spec':{'resources':{'limits':{'cpu':'1'}},'containers':[{'name':'c','image':'a','resources':{"
                 "'limits':{'cpu':'2'},'requests':{'cpu':'1'}}}]}}",
                 "spec.resources.containers[0][cpu].limits: Invalid value: \"2\": must be less than or equal to pod "
                 "limits of 1"},
                {"{'spec':{'resources':{'limits':{'ephemeral-storage':'1'}}}}",
                 "spec.resources.limits[ephemeral-storage]: Unsupported value: \"ephemeral-storage\": supported "
                 "values: \"cpu\", \"hugepages-\", \"memory\"\n"
                 "spec.resources.requests[ephemeral-storage]: Unsupported value: \"ephemeral-storage\": supported "
                 "values: \"cpu\", \"hugepages-\", \"memory\""},
        };

        ROWS(rows);
}

static void init_and_ephemeral_containers_are_checked(void **state)
{
#define INIT(fields) "{'spec':{'initContainers':[{'name':'i','image':'a'" fields "}]}}"
        static const struct kinds_row rows[] = {
                {INIT(""), ""},
                {INIT(",'restartPolicy':'Always','livenessProbe':{'exec':{'command':['a']}}"), ""},
                {INIT(",'restartPolicy':'Always','livenessProbe':{}"),
                 "spec.initContainers[0].livenessProbe: Required value: must specify a handler type"},
                {INIT(",'livenessProbe':{},'lifecycle':{}"),
                 "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without "
                 "restartPolicy=Always\n"
                 "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without "
                 "restartPolicy=Always"},
                {"{'spec':{'initContainers':[{'name':'c','image':'a'}]}}",
                 "spec.initContainers[0].name: Duplicate value: \"c\""},
                {"{'spec':{'initContainers':[{'name':'i'}]}}", "spec.initContainers[0].image: Required value"},
                {"{'spec':{'ephemeralContainers':[{'name':'c','image':'a','targetContainerName':'x','ports':[{"
                 "'containerPort':1}],'volumeMounts':[{'name':'v','mountPath':'/a','subPath':'b'}]}]}}",
                 "spec.ephemeralContainers[0].name: Duplicate value: \"c\"\n"
                 "spec.ephemeralContainers[0].targetContainerName: Not found: \"x\"\n"
                 "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container\n"
                 "spec.ephemeralContainers[0].volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral "
                 "Container\n"
                 "spec.ephemeralContainers: Forbidden: cannot be set on create"},
        };

        ROWS(rows);
}

static void volumes_are_checked(void **state)
{
#define VOL(source) "{'spec':{'volumes':[{'name':'a'," source "}]}}"
#define V           "spec.volumes[0]."
        static const struct kinds_row rows[] = {
                {"{'spec':{'volumes':[{'emptyDir':{}}]}}", V "name: Required value"},
                {"{'spec':{'volumes':[{'name':'A','emptyDir':{}}]}}", V "name: Invalid value: \"A\": " TEXT_LABEL},
                {"{'spec':{'volumes':[{'name':'a'},{'name':'a'}]}}", "spec.volumes[1].name: Duplicate value: \"a\""},
                {VOL("'emptyDir':{},'hostPath':{'path':'/x'}"),
                 V "hostPath: Forbidden: may not specify more than 1 volume type"},
                {VOL("'emptyDir':{'sizeLimit':'-1'}"),
                 V "emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity"},
                {VOL("'hostPath':{}"), V "hostPath.path: Required value"},
                {VOL("'hostPath':{'path':'/a/../b'}"),
                 V "hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"},
                {VOL("'hostPath':{'path':'/a','type':'x'}"),
                 V "hostPath.type: Unsupported value: \"x\": supported values: \"\", \"BlockDevice\", "
                   "\"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\""},
                {VOL("'secret':{}"), V "secret.secretName: Required value"},
                {VOL("'secret':{'secretName':'s','defaultMode':512}"),
                 V "secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both "
                   "inclusive"},
                {VOL("'secret':{'secretName':'s','items':[{}]}"),
                 V "secret.items[0].key: Required value\n" V "secret.items[0].path: Required value"},
                {VOL("'configMap':{'name':'s','items':[{'key':'a','path':'..b','mode':-1}]}"),
                 V "configMap.items[0].path: Invalid value: \"..b\": must not start with '..'\n" V
                   "configMap.items[0].mode: Invalid value: -1: must be a number between 0 and 0777 (octal), both "
                   "inclusive"},
                {VOL("'configMap':{}"), V "configMap.name: Required value"},
                {VOL("'persistentVolumeClaim':{}"), V "persistentVolumeClaim.claimName: Required value"},
                {VOL("'nfs':{'server':'a','path':'b'}"), V "nfs.path: Invalid value: \"b\": must be an absolute path"},
                {VOL("'downwardAPI':{'items':[{'path':'a'}]}"),
                 V "downwardAPI: Required value: one of fieldRef and resourceFieldRef is required"},
                {VOL("'downwardAPI':{'items':[{'path':'a','fieldRef':{'fieldPath':'metadata.labels'}}]}"), ""},
                {VOL("'downwardAPI':{'items':[{'path':'/a','resourceFieldRef':{'resource':'limits.cpu'}}]}"),
                 V "downwardAPI.path: Invalid value: \"/a\": must be a relative path\n" V
                   "downwardAPI.resourceFieldRef.containerName: Required value"},
                {VOL("'projected':{'sources':[{'secret':{'name':'a','items':[{'key':'k','path':'p'}]}},"
                     "{'configMap':{'name':'b','items':[{'key':'k','path':'p'}]}}]}"),
                 V "projected: Invalid value: \"b\": conflicting duplicate paths"},
                {VOL("'projected':{'sources':[{'secret':{'name':'a'},'configMap':{'name':'b'}}]}"),
                 V "projected.sources[0]: Forbidden: may not specify more than 1 volume type per source"},
                {VOL("'projected':{'sources':[{'serviceAccountToken':{'path':'t','expirationSeconds':599}}]}"),
                 V "projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a "
                   "duration less than 10 minutes"},
                {VOL("'projected':{'sources':[{'serviceAccountToken':{}}]}"), V "projected.path: Required value"},
                {"{'spec':{'serviceAccountName':null,'volumes':[{'name':'a','projected':{'sources':[{"
                 "'serviceAccountToken':{'path':'t'}}]}}]}}",
                 V "projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName "
                   "is not set"},
                {VOL("'csi':{}"),
                 V "csi.driver: Required value\n" V "csi.driver: Invalid value: \"\": " TEXT_SUBDOMAIN},
                {VOL("'ephemeral':{}"), V "ephemeral.volumeClaimTemplate: Required value"},
                {VOL("'ephemeral':{'volumeClaimTemplate':{'metadata':{'name':'x'},'spec':{}}}"),
                 V "ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set\n" V
                   "ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is "
                   "required\n" V "ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value"},
                {"{'spec':{'volumes':[{'name':'a','ephemeral':{'volumeClaimTemplate':{'spec':{'accessModes':["
                 "'ReadWriteOnce'],'resources':{'requests':{'storage':'1Gi'}}}}}},"
                 "{'name':'b','persistentVolumeClaim':{'claimName':'p-a'}}]}}",
                 "spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: \"p-a\": must not reference a PVC "
                 "that gets created for an ephemeral volume"},
                {VOL("'image':{}"), V "image.reference: Required value"},
                {VOL("'iscsi':{'targetPortal':'a','iqn':'x','lun':256}"),
                 V "iscsi.iqn: Invalid value: \"x\": must be valid format starting with iqn, eui, or naa\n" V
                   "iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive"},
                {VOL("'gcePersistentDisk':{}"), V "persistentDisk.pdName: Required value"},
        };

        ROWS(rows);
}

static void security_is_checked(void **state)
{
#define POD(fields) "{'spec':{" fields "}}"
#define CTX(fields) POD("'securityContext':{" fields "}")
        static const struct kinds_row rows[] = {
                {CTX("'runAsUser':0,'fsGroup':1,'supplementalGroups':[1]"), ""},
                {CTX("'runAsUser':-1,'runAsGroup':-2,'fsGroup':2147483648,'supplementalGroups':[1,-1]"),
                 "spec.securityContext.fsGroup: Invalid value: 2147483648: " TEXT_ID "\n"
                 "spec.securityContext.runAsUser: Invalid value: -1: " TEXT_ID "\n"
                 "spec.securityContext.runAsGroup: Invalid value: -2: " TEXT_ID "\n"
                 "spec.securityContext.supplementalGroups[1]: Invalid value: -1: " TEXT_ID},
                {CTX("'fsGroupChangePolicy':'x'"),
                 "spec.securityContext.fsGroupChangePolicy: Unsupported value: \"x\": supported values: \"Always\", "
                 "\"OnRootMismatch\""},
                {CTX("'seccompProfile':{'type':'RuntimeDefault'},'appArmorProfile':{'type':'Unconfined'}"), ""},
                {CTX("'seccompProfile':{}"),
                 "spec.securityContext.seccompProfile.type: Required value: type is required when seccompProfile is "
                 "set"},
                {CTX("'seccompProfile':{'type':'x'}"),
                 "spec.securityContext.seccompProfile.type: Unsupported value: \"x\": supported values: "
                 "\"Localhost\", \"RuntimeDefault\", \"Unconfined\""},
                {CTX("'seccompProfile':{'type':'Localhost'}"),
                 "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type "
                 "is Localhost"},
                {CTX("'seccompProfile':{'type':'Localhost','localhostProfile':'../a'}"),
                 "spec.securityContext.seccompProfile.localhostProfile: Invalid value: \"../a\": must not contain "
                 "'..'"},
                {CTX("'seccompProfile':{'type':'Unconfined','localhostProfile':'a'}"),
                 "spec.securityContext.seccompProfile.localhostProfile: Invalid value: "
                 "{\"type\":\"Unconfined\",\"localhostProfile\":\"a\"}: can only be set when seccomp type is "
                 "Localhost"},
                {CTX("'appArmorProfile':{'type':'Localhost','localhostProfile':' a'}"),
                 "spec.securityContext.appArmorProfile.localhostProfile: Invalid value: \" a\": must not be padded "
                 "with whitespace"},
                {CTX("'appArmorProfile':{'type':'Localhost'}"),
                 "spec.securityContext.appArmorProfile.localhostProfile: Required value: must be set when AppArmor "
                 "type is Localhost"},
                {CTX("'sysctls':[{'name':'net.ipv4.ip_forward','value':'1'},{'name':'kernel/shm_rmid_forced'}]"), ""},
                {CTX("'sysctls':[{},{'name':'A'},{'name':'a.b'},{'name':'a.b'}]"),
                 "spec.securityContext.sysctls[0].name: Required value\n"
                 "spec.securityContext.sysctls[1].name: Invalid value: \"A\": must have at most 253 characters and "
                 "match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$\n"
                 "spec.securityContext.sysctls[3].name: Duplicate value: \"a.b\""},
                {POD("'hostNetwork':true,'securityContext':{'sysctls':[{'name':'net.core.x'}]}"),
                 "spec.securityContext.sysctls[0].name: Invalid value: \"net.core.x\": may not be specified when "
                 "'hostNetwork' is true"},
                {POD("'hostIPC':true,'securityContext':{'sysctls':[{'name':'kernel.sem'}]}"),
                 "spec.securityContext.sysctls[0].name: Invalid value: \"kernel.sem\": may not be specified when "
                 "'hostIPC' is true"},
                {POD("'shareProcessNamespace':true,'hostPID':true"),
                 "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID "
                 "cannot both be enabled"},
                {POD("'hostUsers':false,'hostNetwork':true,'hostPID':true,'hostIPC':true"),
                 "spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false\n"
                 "spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false\n"
                 "spec.HostIPC: Forbidden: when `pod.Spec.HostUsers` is false"},
                {POD("'os':{'name':'linux'}"), ""},
                {POD("'os':{}"), "spec.os.name: Required value: cannot be empty"},
                {POD("'os':{'name':'plan9'}"),
                 "spec.os: Unsupported value: \"plan9\": supported values: \"linux\", \"windows\""},
                {POD("'os':{'name':'linux'},'securityContext':{'windowsOptions':{}}"),
                 "spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod"},
                {POD("'os':{'name':'windows'},'hostPID':true,'securityContext':{'runAsUser':1}"),
                 "spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod\n"
                 "spec.hostPID: Forbidden: cannot be set for a windows pod"},
                {C("'securityContext':{'privileged':true}"),
                 AT "securityContext.privileged: Forbidden: disallowed by cluster policy"},
                {C("'securityContext':{'runAsUser':-1,'runAsGroup':-1,'procMount':'x'}"),
                 AT "securityContext.runAsUser: Invalid value: -1: " TEXT_ID "\n" AT
                    "securityContext.runAsGroup: Invalid value: -1: " TEXT_ID "\n" AT
                    "securityContext.procMount: Unsupported value: \"x\": supported values: \"Default\", "
                    "\"Unmasked\""},
                {C("'securityContext':{'procMount':'Unmasked'}"),
                 AT "securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use "
                    "`Unmasked`"},
                {C("'securityContext':{'allowPrivilegeEscalation':false,'capabilities':{'add':['CAP_SYS_ADMIN']}}"),
                 AT "securityContext: Invalid value: "
                    "{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"add\":[\"CAP_SYS_ADMIN\"]}}: cannot set "
                    "`allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"},
        };

        ROWS(rows);
}

static void scheduling_is_checked(void **state)
{
#define NODE(terms)                                                                                                    \
        POD("'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':" terms \
            "}}}")
#define TERM           "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]."
#define ANTI(term)     POD("'affinity':{'podAntiAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[{" term "}]}}")
#define ANTI_AT        "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]."
#define SPREAD(fields) POD("'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'z'," fields "}]")
#define SPREAD_AT      "spec.topologySpreadConstraints[0]."
        static const struct kinds_row rows[] = {
                {POD("'nodeSelector':{'a':'b'}"), ""},
                {POD("'nodeSelector':{'a':'-'}"), "spec.nodeSelector[a]: Invalid value: \"-\": " TEXT_LABEL_VALUE},
                {NODE("[{'matchExpressions':[{'key':'a','operator':'In','values':['b']}]}]"), ""},
                {NODE("[]"), "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution."
                             "nodeSelectorTerms: Required value: must have at least one node selector term"},
                {NODE("[{'matchExpressions':[{'key':'a','operator':'In'}]}]"),
                 TERM "matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or "
                      "'NotIn'"},
                {NODE("[{'matchExpressions':[{'key':'a','operator':'Exists','values':['b']}]}]"),
                 TERM "matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or "
                      "'DoesNotExist'"},
                {NODE("[{'matchExpressions':[{'key':'a','operator':'Gt','values':['1','2']}]}]"),
                 TERM "matchExpressions[0].values: Required value: must be specified single value when `operator` is "
                      "'Lt' or 'Gt'"},
                {NODE("[{'matchExpressions':[{'key':'a','operator':'x'}]}]"),
                 TERM "matchExpressions[0].operator: Invalid value: \"x\": not a valid selector operator"},
                {NODE("[{'matchExpressions':[{'key':'-a','operator':'Exists'}]}]"),
                 TERM "matchExpressions[0].key: Invalid value: \"-a\": " TEXT_QUALIFIED},
                {NODE("[{'matchFields':[{'key':'metadata.name','operator':'In','values':['n']}]}]"), ""},
                {NODE("[{'matchFields':[{'key':'spec.x','operator':'In','values':['n']}]}]"),
                 TERM "matchFields[0].key: Invalid value: \"spec.x\": not a valid field selector key"},
                {NODE("[{'matchFields':[{'key':'metadata.name','operator':'In','values':['n','m']}]}]"),
                 TERM "matchFields[0].values: Required value: must be only one value when `operator` is 'In' or "
                      "'NotIn' for node field selector"},
                {POD("'affinity':{'nodeAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':[{'weight':101,"
                     "'preference':{}}]}}"),
                 "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid "
                 "value: 101: must be in the range 1-100"},
                {ANTI("'topologyKey':'z','labelSelector':{'matchLabels':{'a':'b'}}"), ""},
                {ANTI("'labelSelector':{}"),
                 ANTI_AT "topologyKey: Required value: can not be empty\n" ANTI_AT
                         "topologyKey: Invalid value: \"\": name part must be non-empty\n" ANTI_AT
                         "topologyKey: Invalid value: \"\": " TEXT_QUALIFIED},
                {ANTI("'topologyKey':'z','labelSelector':{'matchExpressions':[{'key':'a','operator':'x'}]}"),
                 ANTI_AT "labelSelector.matchExpressions[0].operator: Invalid value: \"x\": not a valid selector "
                         "operator"},
                {ANTI("'topologyKey':'z','matchLabelKeys':['a']"),
                 ANTI_AT "matchLabelKeys: Forbidden: must not be specified when labelSelector is not set"},
                {ANTI("'topologyKey':'z','labelSelector':{},'matchLabelKeys':['a'],'mismatchLabelKeys':['a']"),
                 ANTI_AT "matchLabelKeys[0]: Invalid value: \"a\": exists in both matchLabelKeys and "
                         "mismatchLabelKeys"},
                {ANTI("'topologyKey':'z','namespaces':['A']"), ANTI_AT "namespace: Invalid value: \"A\": " TEXT_LABEL},
                {POD("'tolerations':[{'key':'a','operator':'Equal','value':'b','effect':'NoExecute',"
                     "'tolerationSeconds':1},{'operator':'Exists'}]"),
                 ""},
                {POD("'tolerations':[{}]"),
                 "spec.tolerations[0].operator: Invalid value: \"\": operator must be Exists when `key` is empty, "
                 "which means \"match all values and all keys\""},
                {POD("'tolerations':[{'key':'a','tolerationSeconds':1}]"),
                 "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when "
                 "`tolerationSeconds` is set"},
                {POD("'tolerations':[{'key':'a','operator':'Exists','value':'b'}]"),
                 "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is "
                 "'Exists'"},
                {POD("'tolerations':[{'key':'a','operator':'x','effect':'y'}]"),
                 "spec.tolerations[0].operator: Unsupported value: \"x\": supported values: \"Equal\", \"Exists\"\n"
                 "spec.tolerations[0].effect: Unsupported value: \"y\": supported values: \"NoSchedule\", "
                 "\"PreferNoSchedule\", \"NoExecute\""},
                {SPREAD("'whenUnsatisfiable':'DoNotSchedule','labelSelector':{}"), ""},
                {SPREAD("'whenUnsatisfiable':'x','maxSkew':0"),
                 SPREAD_AT "maxSkew: Invalid value: 0: must be greater than zero\n" SPREAD_AT
                           "whenUnsatisfiable: Unsupported value: \"x\": supported values: \"DoNotSchedule\", "
                           "\"ScheduleAnyway\""},
                {SPREAD("'whenUnsatisfiable':'ScheduleAnyway','minDomains':1"),
                 SPREAD_AT "minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, "
                           "not ScheduleAnyway"},
                {SPREAD("'whenUnsatisfiable':'DoNotSchedule','matchLabelKeys':['a']"),
                 SPREAD_AT "matchLabelKeys: Forbidden: must not be specified when labelSelector is not set"},
                {SPREAD("'whenUnsatisfiable':'DoNotSchedule','matchLabelKeys':['a'],"
                        "'labelSelector':{'matchLabels':{'a':'b'}}"),
                 SPREAD_AT "matchLabelKeys[0]: Invalid value: \"a\": exists in both matchLabelKeys and "
                           "labelSelector"},
                {SPREAD("'whenUnsatisfiable':'DoNotSchedule','nodeTaintsPolicy':'x'"),
                 SPREAD_AT "nodeTaintsPolicy: Unsupported value: \"x\": supported values: \"Honor\", \"Ignore\""},
                {POD("'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'z','whenUnsatisfiable':"
                     "'DoNotSchedule'},{'maxSkew':2,'topologyKey':'z','whenUnsatisfiable':'DoNotSchedule'}]"),
                 SPREAD_AT "{topologyKey, whenUnsatisfiable}: Duplicate value: \"{z, DoNotSchedule}\""},
                {POD("'schedulingGates':[{'name':'a'},{'name':'a'}]"),
                 "spec.schedulingGates[1]: Duplicate value: \"a\""},
                {POD("'schedulingGates':[{'name':'a'}],'nodeName':'n'"),
                 "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"},
                {POD("'readinessGates':[{'conditionType':'-'}]"),
                 "spec.readinessGates[0].conditionType: Invalid value: \"-\": " TEXT_QUALIFIED},
        };

        ROWS(rows);
}

static void the_rest_of_the_spec_is_checked(void **state)
{
        static const struct kinds_row rows[] = {
                {POD("'restartPolicy':'x'"), "spec.restartPolicy: Unsupported value: \"x\": supported values: "
                                             "\"Always\", \"OnFailure\", \"Never\""},
                {POD("'dnsPolicy':'x'"),
                 "spec.dnsPolicy: Unsupported value: \"x\": supported values: \"ClusterFirstWithHostNet\", "
                 "\"ClusterFirst\", \"Default\", \"None\""},
                {POD("'dnsPolicy':'None'"),
                 "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"},
                {POD("'dnsPolicy':'None','dnsConfig':{}"),
                 "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when "
                 "`dnsPolicy` is None"},
                {POD("'dnsConfig':{'nameservers':['1.1.1.1','x'],'searches':['a.b.','_x','.'],'options':[{}]}"),
                 "spec.dnsConfig.nameservers[1]: Invalid value: \"x\": " TEXT_IP "\n"
                 "spec.dnsConfig.options[0]: Required value: must not be empty"},
                {POD("'dnsConfig':{'nameservers':['1.1.1.1','1.1.1.2','1.1.1.3','1.1.1.4']}"),
                 "spec.dnsConfig.nameservers: Invalid value: [\"1.1.1.1\",\"1.1.1.2\",\"1.1.1.3\",\"1.1.1.4\"]: must "
                 "not have more than 3 nameservers"},
                {POD("'hostAliases':[{'ip':'x','hostnames':['A']}]"),
                 "spec.hostAliases[0].ip: Invalid value: \"x\": " TEXT_IP "\n"
                 "spec.hostAliases[0].hostnames[0]: Invalid value: \"A\": " TEXT_SUBDOMAIN},
                {POD("'serviceAccountName':'A'"), "spec.serviceAccountName: Invalid value: \"A\": " TEXT_SUBDOMAIN},
                {POD("'nodeName':'A'"), "spec.nodeName: Invalid value: \"A\": " TEXT_SUBDOMAIN},
                {POD("'hostname':'a.b'"), "spec.hostname: Invalid value: \"a.b\": must not contain dots"},
                {POD("'subdomain':'a.b'"), "spec.subdomain: Invalid value: \"a.b\": must not contain dots"},
                {POD("'priorityClassName':'A'"), "spec.priorityClassName: Invalid value: \"A\": " TEXT_SUBDOMAIN},
                {POD("'runtimeClassName':'A'"), "spec.runtimeClassName: Invalid value: \"A\": " TEXT_SUBDOMAIN},
                {POD("'preemptionPolicy':'x'"), "spec.preemptionPolicy: Unsupported value: \"x\": supported values: "
                                                "\"PreemptLowerPriority\", \"Never\""},
                {POD("'activeDeadlineSeconds':0"),
                 "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"},
                {POD("'resourceClaims':[{'name':'a','resourceClaimName':'x'}]"), ""},
                {POD("'resourceClaims':[{'name':'a'}]"),
                 "spec.resourceClaims[0]: Invalid value: {\"name\":\"a\"}: must specify one of: `resourceClaimName`, "
                 "`resourceClaimTemplateName`"},
                {"{'metadata':{'annotations':{'kubernetes.io/config.mirror':'x'}}}",
                 "metadata.annotations[kubernetes.io/config.mirror]: Invalid value: \"x\": must set spec.nodeName if "
                 "mirror pod annotation is set"},
                {"{'metadata':{'annotations':{'controller.kubernetes.io/pod-deletion-cost':'+1'}}}",
                 "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"+1\": must be a "
                 "32bit integer"},
                {"{'metadata':{'annotations':{'controller.kubernetes.io/pod-deletion-cost':'-10'}}}", ""},
                {"{'metadata':{'annotations':{'container.apparmor.security.beta.kubernetes.io/x':'y'}}}",
                 "metadata.annotations[container.apparmor.security.beta.kubernetes.io/x]: Invalid value: \"x\": "
                 "container not found\n"
                 "metadata.annotations[container.apparmor.security.beta.kubernetes.io/x]: Invalid value: \"y\": "
                 "invalid AppArmor profile name: \"y\""},
        };

        ROWS(rows);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(containers_are_checked),
                cmocka_unit_test(ports_are_checked),
                cmocka_unit_test(env_is_checked),
                cmocka_unit_test(mounts_are_checked),
                cmocka_unit_test(probes_and_hooks_are_checked),
                cmocka_unit_test(resources_are_checked),
                cmocka_unit_test(init_and_ephemeral_containers_are_checked),
                cmocka_unit_test(volumes_are_checked),
                cmocka_unit_test(security_is_checked),
                cmocka_unit_test(scheduling_is_checked),
                cmocka_unit_test(the_rest_of_the_spec_is_checked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
