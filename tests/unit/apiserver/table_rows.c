/* SPDX-License-Identifier: Apache-2.0 */
#include "table_rows.h"

#define T       "2025-12-31T23:55:00Z" /* five minutes ago */
#define NAME    "'name':'x','creationTimestamp':'" T "'"
#define META    "'metadata':{" NAME "}"
#define DELETED "'metadata':{" NAME ",'deletionTimestamp':'" T "'}"
#define OBJ(x)  "{" META "," x "}"
#define GONE(x) "{" DELETED "," x "}"

/* ---- pods ---- */

#define ONE        "'spec':{'containers':[{'name':'a'}]}"
#define TWO        "'spec':{'containers':[{'name':'a'},{'name':'b'}]}"
#define INIT       "'spec':{'initContainers':[{'name':'i'},{'name':'j'}],'containers':[{'name':'a'}]}"
#define SIDECAR    "'spec':{'initContainers':[{'name':'s','restartPolicy':'Always'}],'containers':[{'name':'a'}]}"
#define STATUS(x)  "'status':{" x "}"
#define PENDING    "'phase':'Pending'"
#define RUNNING    "'phase':'Running'"
#define CS(x)      "'containerStatuses':[" x "]"
#define ICS(x)     "'initContainerStatuses':[" x "]"
#define UP(n)      "{'name':'" n "','ready':true,'restartCount':0,'state':{'running':{}}}"
#define WAIT(n, r) "{'name':'" n "','ready':false,'restartCount':0,'state':{'waiting':{'reason':'" r "'}}}"
#define END(n, x)  "{'name':'" n "','ready':false,'restartCount':0,'state':{'terminated':{" x "}}}"
#define CRASHED(n)                                                                                                     \
        "{'name':'a','ready':true,'restartCount':" n ",'state':{'running':{}},'lastState':{'terminated':{'finishedAt'" \
        ":'" T "'}}}"
#define POD(spec, status, ready, text, restarts)                                                                       \
        {                                                                                                              \
                "", "pods", OBJ(spec "," STATUS(status)),                                                              \
                        "['x','" ready "','" text "','" restarts "','5m','<none>','<none>','<none>','<none>']"         \
        }
#define POD_GONE(spec, status, ready, text)                                                                            \
        {                                                                                                              \
                "", "pods", GONE(spec "," STATUS(status)),                                                             \
                        "['x','" ready "','" text "','0','5m','<none>','<none>','<none>','<none>']"                    \
        }

/* ---- workloads ---- */

#define TEMPLATE                                                                                                       \
        "'template':{'metadata':{'labels':{'b':'2','a':'1'}},'spec':{'nodeSelector':{'disk':'ssd'},'containers':[{"    \
        "'name':'a','image':'nginx:1'},{'name':'b','image':'redis'}]}}"
#define SELECTOR "'selector':{'matchLabels':{'app':'web','a':'b'}}"
#define JOB(spec, status, text, completions, duration)                                                                 \
        {                                                                                                              \
                "batch", "jobs", OBJ("'spec':{" spec "},'status':{" status "}"),                                       \
                        "['x','" text "','" completions "','" duration "','5m','','','<none>']"                        \
        }
#define COND(type, status) "'conditions':[{'type':'" type "','status':'" status "'}]"

/* ---- services ---- */

#define SERVICE(spec, status, type, ip, external, ports)                                                               \
        {                                                                                                              \
                "", "services", OBJ("'spec':{" spec "},'status':{" status "}"),                                        \
                        "['x','" type "','" ip "','" external "','" ports "','5m','<none>']"                           \
        }
#define LB(x) "'loadBalancer':{'ingress':[" x "]}"
#define ENDPOINTS(x, t)                                                                                                \
        {                                                                                                              \
                "", "endpoints", OBJ("'subsets':[" x "]"), "['x','" t "','5m']"                                        \
        }
#define IP(a) "{'ip':'" a "'}"
#define SLICE(x, ports, endpoints)                                                                                     \
        {                                                                                                              \
                "discovery.k8s.io", "endpointslices", OBJ("'addressType':'IPv4'," x),                                  \
                        "['x','IPv4','" ports "','" endpoints "','5m']"                                                \
        }
#define NET "networking.k8s.io"
#define INGRESS(spec, status, cls, hosts, address, ports)                                                              \
        {                                                                                                              \
                NET, "ingresses", OBJ("'spec':{" spec "},'status':{" status "}"),                                      \
                        "['x','" cls "','" hosts "','" address "','" ports "','5m']"                                   \
        }
#define HOST(h) "{'host':'" h "'}"

/* ---- others ---- */

#define NODE(meta, rest, status, roles)                                                                                \
        {                                                                                                              \
                "", "nodes", "{'metadata':{" NAME meta "}," rest "}",                                                  \
                        "['x','" status "','" roles "','5m','','<none>','<none>','<unknown>','<unknown>','<unknown>']" \
        }
#define READY(s)                                                                                                       \
        "'status':{'conditions':[{'type':'MemoryPressure','status':'False'},{'type':'Ready','status':'" s "'}]}"
#define EVENT(x, last, object, source, message, first, count)                                                          \
        {                                                                                                              \
                "", "events", OBJ("'type':'Normal','reason':'R'," x),                                                  \
                        "['" last "','Normal','R','" object "','','" source "','" message "','" first "'," count       \
                        ",'x']"                                                                                        \
        }
#define HPA(metrics, current, targets)                                                                                 \
        {                                                                                                              \
                "autoscaling", "horizontalpodautoscalers",                                                             \
                        OBJ("'apiVersion':'autoscaling/"                                                               \
                            "v2','spec':{'scaleTargetRef':{'kind':'Deployment','name':'web'},"                         \
                            "'maxReplicas':5,'metrics':[" metrics "]},'status':{'currentReplicas':2,"                  \
                            "'currentMetrics':[" current "]}"),                                                        \
                        "['x','Deployment/web','" targets "','<unset>',5,2,'5m']"                                      \
        }
#define CPU "{'type':'Resource','resource':{'name':'cpu','target':{'type':'Utilization','averageUtilization':80}}}"
#define CPU_NOW(n)                                                                                                     \
        "{'type':'Resource','resource':{'name':'cpu','current':{'averageUtilization':" n ",'averageValue':'1m'}}}"
#define RBAC "rbac.authorization.k8s.io"
#define CSR(spec, status, signer, who, duration, condition)                                                            \
        {                                                                                                              \
                "certificates.k8s.io", "certificatesigningrequests", OBJ("'spec':{" spec "},'status':{" status "}"),   \
                        "['x','5m','" signer "','" who "','" duration "','" condition "']"                             \
        }
#define ADMIT "admissionregistration.k8s.io"
#define STORE "storage.k8s.io"
#define PV(x, cells)                                                                                                   \
        {                                                                                                              \
                "", "persistentvolumes", OBJ(x), "['x'," cells "]"                                                     \
        }
#define PVC(x, cells)                                                                                                  \
        {                                                                                                              \
                "", "persistentvolumeclaims", OBJ(x), "['x'," cells "]"                                                \
        }

const struct table_row_case table_row_cases[] = {
        POD(ONE, PENDING, "0/1", "Pending", "0"),
        POD(ONE, RUNNING "," CS(UP("a")), "1/1", "Running", "0"),
        POD(TWO, RUNNING "," CS(UP("a") "," WAIT("b", "ErrImagePull")), "1/2", "ErrImagePull", "0"),
        POD(ONE, PENDING "," CS(WAIT("a", "ContainerCreating")), "0/1", "ContainerCreating", "0"),
        POD(ONE, PENDING "," CS(WAIT("a", "ImagePullBackOff")), "0/1", "ImagePullBackOff", "0"),
        POD(ONE, RUNNING "," CS(WAIT("a", "CrashLoopBackOff")), "0/1", "CrashLoopBackOff", "0"),
        POD(TWO, RUNNING "," CS(WAIT("a", "First") "," WAIT("b", "Second")), "0/2", "First", "0"),
        POD(ONE, RUNNING "," CS(CRASHED("3")), "1/1", "Running", "3 (5m ago)"),
        POD(ONE, RUNNING "," CS("{'name':'a','ready':true,'restartCount':2,'state':{'running':{}}}"), "1/1", "Running",
            "2"),
        POD(ONE, "'phase':'Succeeded'," CS(END("a", "'reason':'Completed','exitCode':0")), "0/1", "Completed", "0"),
        POD(ONE, "'phase':'Failed'," CS(END("a", "'reason':'Error','exitCode':1")), "0/1", "Error", "0"),
        POD(ONE, "'phase':'Failed'," CS(END("a", "'reason':'OOMKilled','exitCode':137")), "0/1", "OOMKilled", "0"),
        POD(ONE, "'phase':'Failed'," CS(END("a", "'exitCode':3")), "0/1", "ExitCode:3", "0"),
        POD(ONE, "'phase':'Failed'," CS(END("a", "'exitCode':137,'signal':9")), "0/1", "Signal:9", "0"),
        POD(ONE, "'phase':'Failed','reason':'Evicted'", "0/1", "Evicted", "0"),
        POD(ONE, PENDING ",'conditions':[{'type':'PodScheduled','status':'False','reason':'SchedulingGated'}]", "0/1",
            "SchedulingGated", "0"),
        POD(TWO,
            RUNNING ",'conditions':[{'type':'Ready','status':'True'}]," CS(
                    END("a", "'reason':'Completed','exitCode':0") "," UP("b")),
            "1/2", "Running", "0"),
        POD(TWO, RUNNING "," CS(END("a", "'reason':'Completed','exitCode':0") "," UP("b")), "1/2", "NotReady", "0"),
        POD(INIT, PENDING "," ICS(UP("i") "," WAIT("j", "PodInitializing")) "," CS(WAIT("a", "PodInitializing")), "0/1",
            "Init:0/2", "0"),
        POD(INIT, PENDING "," ICS(END("i", "'exitCode':0") "," UP("j")) "," CS(WAIT("a", "PodInitializing")), "0/1",
            "Init:1/2", "0"),
        POD(INIT, PENDING "," ICS(WAIT("i", "CrashLoopBackOff")), "0/1", "Init:CrashLoopBackOff", "0"),
        POD(INIT, PENDING "," ICS(END("i", "'reason':'Error','exitCode':1")), "0/1", "Init:Error", "0"),
        POD(INIT, PENDING "," ICS(END("i", "'exitCode':2")), "0/1", "Init:ExitCode:2", "0"),
        POD(INIT, PENDING "," ICS(END("i", "'exitCode':2,'signal':15")), "0/1", "Init:Signal:15", "0"),
        POD(INIT,
            PENDING "," ICS(END("i", "'exitCode':0") "," END("j", "'exitCode':0")) "," CS(WAIT("a", "PodInitializing")),
            "0/1", "PodInitializing", "0"),
        POD(INIT,
            PENDING "," ICS("{'name':'i','restartCount':4,'state':{'waiting':{'reason':'CrashLoopBackOff'}},"
                            "'lastState':{'terminated':{'finishedAt':'" T "'}}}"),
            "0/1", "Init:CrashLoopBackOff", "4 (5m ago)"),
        POD(INIT, RUNNING "," ICS(END("i", "'exitCode':0") "," END("j", "'exitCode':0")) "," CS(UP("a")), "1/1",
            "Running", "0"),
        POD(SIDECAR,
            RUNNING
            "," ICS("{'name':'s','ready':true,'started':true,'restartCount':1,'state':{'running':{}}}") "," CS(UP("a")),
            "2/2", "Running", "1"),
        POD(SIDECAR,
            RUNNING "," ICS("{'name':'s','ready':false,'started':true,'restartCount':0,'state':{'running':{}}}") "," CS(
                    UP("a")),
            "1/2", "Running", "0"),
        POD(SIDECAR,
            PENDING "," ICS("{'name':'s','ready':false,'started':false,'restartCount':0,'state':{'running':{}}"
                            "}"),
            "0/2", "Init:0/1", "0"),
        POD_GONE(ONE, RUNNING "," CS(UP("a")), "1/1", "Terminating"),
        POD_GONE(ONE, RUNNING ",'reason':'NodeLost'," CS(UP("a")), "1/1", "Unknown"),
        POD_GONE(ONE, "'phase':'Succeeded'," CS(END("a", "'reason':'Completed','exitCode':0")), "0/1", "Completed"),
        {"", "pods",
         OBJ("'spec':{'nodeName':'n1','containers':[{}],'readinessGates':[{'conditionType':'g'},{'conditionType':'h'}]}"
             ","
             "'status':{'phase':'Running','podIPs':[{'ip':'10.1.0.4'},{'ip':'fd00::4'}],'nominatedNodeName':'n2',"
             "'conditions':[{'type':'h','status':'True'},{'type':'g','status':'False'}]}"),
         "['x','0/1','Running','0','5m','10.1.0.4','n1','n2','1/2']"},
        {"", "pods", "{}", "['','0/0','','0','<unknown>','<none>','<none>','<none>','<none>']"},
        {"", "podtemplates", OBJ(TEMPLATE), "['x','a,b','nginx:1,redis','a=1,b=2']"},

        {"", "replicationcontrollers",
         OBJ("'spec':{'replicas':3,'selector':{'b':'2','a':'1'}," TEMPLATE
             "},'status':{'replicas':2,'readyReplicas':1}"),
         "['x',3,2,1,'5m','a,b','nginx:1,redis','a=1,b=2']"},
        {"apps", "replicasets",
         OBJ("'spec':{'replicas':3," SELECTOR "," TEMPLATE "},'status':{'replicas':2,'readyReplicas':1}"),
         "['x',3,2,1,'5m','a,b','nginx:1,redis','a=b,app=web']"},
        {"apps", "replicasets", OBJ("'spec':{'replicas':0},'status':{'replicas':0}"),
         "['x',0,0,0,'5m','','','<none>']"},
        {"apps", "deployments",
         OBJ("'spec':{'replicas':3," SELECTOR "," TEMPLATE
             "},'status':{'replicas':3,'readyReplicas':2,'updatedReplicas':3,'availableReplicas':1}"),
         "['x','2/3',3,1,'5m','a,b','nginx:1,redis','a=b,app=web']"},
        {"apps", "deployments",
         OBJ("'spec':{'replicas':1,'selector':{'matchExpressions':[{'key':'t','operator':'In','values':['b','a']},{"
             "'key':'c','operator':'DoesNotExist'}]}},'status':{}"),
         "['x','0/1',0,0,'5m','','','!c,t in (a,b)']"},
        {"apps", "deployments",
         OBJ("'spec':{'replicas':1,'selector':{'matchExpressions':[{'key':'t','operator':'Near'}]}},'status':{}"),
         "['x','0/1',0,0,'5m','','','<invalid>']"},
        {"apps", "statefulsets", OBJ("'spec':{'replicas':2," TEMPLATE "},'status':{'replicas':2,'readyReplicas':2}"),
         "['x','2/2','5m','a,b','nginx:1,redis']"},
        {"apps", "daemonsets",
         OBJ("'spec':{" SELECTOR "," TEMPLATE "},'status':{'desiredNumberScheduled':5,'currentNumberScheduled':4,"
             "'numberReady':3,'updatedNumberScheduled':2,'numberAvailable':1}"),
         "['x',5,4,3,2,1,'disk=ssd','5m','a,b','nginx:1,redis','a=b,app=web']"},
        {"apps", "daemonsets", OBJ("'spec':{},'status':{}"), "['x',0,0,0,0,0,'<none>','5m','','','<none>']"},
        JOB("'completions':3", "'succeeded':1", "Running", "1/3", ""),
        JOB("'completions':1,'parallelism':1", "'startTime':'" T "'", "Running", "0/1", "5m"),
        JOB("'completions':1",
            "'succeeded':1,'startTime':'" T "','completionTime':'2025-12-31T23:56:30Z'," COND("Complete", "True"),
            "Complete", "1/1", "90s"),
        JOB("'completions':1", COND("Failed", "True"), "Failed", "0/1", ""),
        JOB("'completions':1", COND("Failed", "False"), "Running", "0/1", ""),
        JOB("'completions':1", COND("Suspended", "True"), "Suspended", "0/1", ""),
        JOB("'completions':1", COND("FailureTarget", "True"), "FailureTarget", "0/1", ""),
        JOB("'parallelism':4", "'succeeded':2", "Running", "2/1 of 4", ""),
        JOB("'parallelism':1", "'succeeded':0", "Running", "0/1", ""),
        {"batch", "jobs", GONE("'spec':{'completions':1," SELECTOR "," TEMPLATE "},'status':{}"),
         "['x','Terminating','0/1','','5m','a,b','nginx:1,redis','a=b,app=web']"},
        {"batch", "cronjobs",
         OBJ("'spec':{'schedule':'*/5 * * * *','suspend':false,'jobTemplate':{'spec':{" TEMPLATE "}}},'status':{"
             "'active':[{},{}],'lastScheduleTime':'2025-12-31T23:59:00Z'}"),
         "['x','*/5 * * * *','<none>','False',2,'60s','5m','a,b','nginx:1,redis','<none>']"},
        {"batch", "cronjobs", OBJ("'spec':{'schedule':'@daily','timeZone':'Etc/UTC','suspend':true},'status':{}"),
         "['x','@daily','Etc/UTC','True',0,'<none>','5m','','','<none>']"},
        {"batch", "cronjobs", OBJ("'spec':{'schedule':'@daily'}"),
         "['x','@daily','<none>','<unset>',0,'<none>','5m','','','<none>']"},
        {"apps", "controllerrevisions",
         "{'metadata':{" NAME ",'ownerReferences':[{'kind':'Other','name':'o','apiVersion':'v1'},{'kind':'DaemonSet',"
         "'name':'ds','apiVersion':'apps/v1','controller':true}]},'revision':7}",
         "['x','daemonset.apps/ds',7,'5m']"},
        {"apps", "controllerrevisions", OBJ("'revision':1"), "['x','<none>',1,'5m']"},
        {"policy", "poddisruptionbudgets", OBJ("'spec':{'minAvailable':2},'status':{'disruptionsAllowed':1}"),
         "['x','2','N/A',1,'5m']"},
        {"policy", "poddisruptionbudgets", OBJ("'spec':{'maxUnavailable':'25%'},'status':{}"),
         "['x','N/A','25%',0,'5m']"},

        SERVICE("'type':'ClusterIP','clusterIPs':['10.96.0.1','fd00::1'],'ports':[{'port':443,'protocol':'TCP'}]", "",
                "ClusterIP", "10.96.0.1", "<none>", "443/TCP"),
        SERVICE("'type':'ClusterIP','clusterIPs':['None']", "", "ClusterIP", "None", "<none>", "<none>"),
        SERVICE("'type':'ClusterIP','clusterIPs':['10.96.0.1'],'externalIPs':['1.2.3.4','5.6.7.8']", "", "ClusterIP",
                "10.96.0.1", "1.2.3.4,5.6.7.8", "<none>"),
        SERVICE("'type':'NodePort','clusterIPs':['10.96.0.1'],'ports':[{'port':80,'nodePort':30080,'protocol':'TCP'},{"
                "'port':53,'nodePort':30053,'protocol':'UDP'}]",
                "", "NodePort", "10.96.0.1", "<none>", "80:30080/TCP,53:30053/UDP"),
        SERVICE("'type':'LoadBalancer','clusterIPs':['10.96.0.1']", "'loadBalancer':{}", "LoadBalancer", "10.96.0.1",
                "<pending>", "<none>"),
        SERVICE("'type':'LoadBalancer','clusterIPs':['10.96.0.1']",
                LB(IP("9.9.9.9") "," IP("1.1.1.1") "," IP("9.9.9.9")), "LoadBalancer", "10.96.0.1", "1.1.1.1,9.9.9.9",
                "<none>"),
        SERVICE("'type':'LoadBalancer','clusterIPs':['10.96.0.1'],'externalIPs':['1.2.3.4']",
                LB("{'hostname':'lb.example.com'}"), "LoadBalancer", "10.96.0.1", "lb.example.com,1.2.3.4", "<none>"),
        SERVICE("'type':'ExternalName','externalName':'db.example.com'", "", "ExternalName", "<none>", "db.example.com",
                "<none>"),
        SERVICE("'type':'Other'", "", "Other", "<none>", "<unknown>", "<none>"),
        {"", "services", OBJ("'spec':{'type':'ClusterIP','selector':{'b':'2','a':'1'}}"),
         "['x','ClusterIP','<none>','<none>','<none>','5m','a=1,b=2']"},
        {"", "endpoints", OBJ("'subsets':[]"), "['x','<none>','5m']"},
        ENDPOINTS("{'addresses':[" IP("10.0.0.1") "]}", "10.0.0.1"),
        ENDPOINTS("{'notReadyAddresses':[" IP("10.0.0.1") "],'ports':[{'port':80}]}", ""),
        ENDPOINTS("{'addresses':[" IP("10.0.0.1") "," IP("fd00::1") "],'ports':[{'port':80}]}",
                  "10.0.0.1:80,[fd00::1]:80"),
        ENDPOINTS("{'addresses':[" IP("10.0.0.1") "," IP("10.0.0.2") "],'ports':[{'port':80},{'port':81}]}",
                  "10.0.0.1:80,10.0.0.2:80,10.0.0.1:81 + 1 more..."),
        ENDPOINTS("{'addresses':[" IP("10.0.0.1") "," IP("10.0.0.2") "," IP("10.0.0.3") "]},{'addresses':[" IP(
                          "10.0.0.4") "," IP("10.0.0.5") "],'ports':[{'port':80}]}",
                  "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more..."),
        SLICE("'ports':[{'port':80},{'name':'any'},{}],'endpoints':[{'addresses':['10.0.0.1']}]", "80,any,*",
              "10.0.0.1"),
        SLICE("'ports':[],'endpoints':[]", "<unset>", "<unset>"),
        SLICE("'ports':[{'port':1},{'port':2},{'port':3},{'port':4}],'endpoints':[{'addresses':['a']},{'addresses':['b'"
              "]},{'addresses':['c']},{'addresses':['d']},{'addresses':['e']}]",
              "1,2,3 + 1 more...", "a,b,c + 2 more..."),
        INGRESS("'ingressClassName':'nginx','rules':[" HOST("a.b") "]", LB(IP("1.1.1.1")), "nginx", "a.b", "1.1.1.1",
                "80"),
        INGRESS("'rules':[{}],'tls':[{}]", "", "<none>", "*", "", "80, 443"),
        INGRESS("'rules':[" HOST("a") "," HOST("b") "," HOST("c") "]", "", "<none>", "a,b,c", "", "80"),
        INGRESS("'rules':[" HOST("a") "," HOST("b") "," HOST("c") "," HOST("d") "," HOST("e") "]",
                LB("{'hostname':'b'},{'hostname':'a'}"), "<none>", "a,b,c + 2 more...", "a,b", "80"),
        {NET, "ingressclasses", OBJ("'spec':{'controller':'example.com/c'}"), "['x','example.com/c','<none>','5m']"},
        {NET, "ingressclasses", OBJ("'spec':{'controller':'c','parameters':{'apiGroup':'g.io','kind':'K','name':'n'}}"),
         "['x','c','K.g.io/n','5m']"},
        {NET, "ingressclasses", OBJ("'spec':{'controller':'c','parameters':{'kind':'K','name':'n'}}"),
         "['x','c','K/n','5m']"},
        {NET, "networkpolicies", OBJ("'spec':{'podSelector':{}}"), "['x','<none>','5m']"},
        {NET, "networkpolicies", OBJ("'spec':{'podSelector':{'matchLabels':{'app':'db'}}}"), "['x','app=db','5m']"},
        {NET, "servicecidrs", OBJ("'spec':{'cidrs':['10.96.0.0/16','fd00::/108']}"),
         "['x','10.96.0.0/16,fd00::/108','5m']"},
        {NET, "ipaddresses", OBJ("'spec':{'parentRef':{'resource':'services','namespace':'default','name':'web'}}"),
         "['x','services/default/web']"},
        {NET, "ipaddresses", OBJ("'spec':{'parentRef':{'group':'g.io','resource':'things','name':'t'}}"),
         "['x','things.g.io/t']"},
        {NET, "ipaddresses", OBJ("'spec':{}"), "['x','<none>']"},

        NODE("", READY("True"), "Ready", "<none>"),
        NODE("", READY("False"), "NotReady", "<none>"),
        NODE("", READY("Unknown"), "NotReady", "<none>"),
        NODE("", "'status':{}", "Unknown", "<none>"),
        NODE("", "'spec':{'unschedulable':true}," READY("True"), "Ready,SchedulingDisabled", "<none>"),
        NODE(",'labels':{'node-role.kubernetes.io/worker':'','node-role.kubernetes.io/control-plane':'',"
             "'kubernetes.io/role':'worker','node-role.kubernetes.io/':'','a':'b'}",
             READY("True"), "Ready", "control-plane,worker"),
        {"", "nodes",
         OBJ("'status':{'conditions':[{'type':'Ready','status':'True'}],'addresses':[{'type':'Hostname','address':'h'},"
             "{"
             "'type':'InternalIP','address':'10.0.0.1'},{'type':'InternalIP','address':'fd00::1'},{'type':'ExternalIP',"
             "'address':'1.2.3.4'}],'nodeInfo':{'kubeletVersion':'v1.36.0','osImage':'Debian 12','kernelVersion':'6.1',"
             "'containerRuntimeVersion':'crun://1'}}"),
         "['x','Ready','<none>','5m','v1.36.0','10.0.0.1','1.2.3.4','Debian 12','6.1','crun://1']"},
        {"", "namespaces", OBJ("'status':{'phase':'Active'}"), "['x','Active','5m']"},
        {"", "secrets", OBJ("'type':'Opaque','data':{'a':'','b':''}"), "['x','Opaque',2,'5m']"},
        {"", "secrets", OBJ("'type':'Opaque'"), "['x','Opaque',0,'5m']"},
        {"", "configmaps", OBJ("'data':{'a':''},'binaryData':{'b':'','c':''}"), "['x',3,'5m']"},
        {"", "configmaps", OBJ("'data':{}"), "['x',0,'5m']"},
        {"", "serviceaccounts", OBJ("'secrets':[{}]"), "['x','5m']"},
        {"", "resourcequotas",
         OBJ("'status':{'hard':{'pods':'10','requests.cpu':'4','limits.memory':'2Gi','limits.cpu':'8'},'used':{'pods':"
             "'3','limits.cpu':'500m'}}"),
         "['x','pods: 3/10, requests.cpu: 0/4','limits.cpu: 500m/8, limits.memory: 0/2Gi','5m']"},
        {"", "componentstatuses", OBJ("'conditions':[{'type':'Healthy','status':'True','message':'ok'}]"),
         "['x','Healthy','ok','']"},
        {"", "componentstatuses", OBJ("'conditions':[{'type':'Healthy','status':'False','error':'no'}]"),
         "['x','Unhealthy','','no']"},
        {"", "componentstatuses", OBJ("'conditions':[]"), "['x','Unknown','','']"},
        {"coordination.k8s.io", "leases", OBJ("'spec':{'holderIdentity':'me'}"), "['x','me','5m']"},
        {"scheduling.k8s.io", "priorityclasses", OBJ("'value':1000,'globalDefault':true,'preemptionPolicy':'Never'"),
         "['x',1000,true,'5m','Never']"},
        {"scheduling.k8s.io", "priorityclasses", OBJ("'value':-1"), "['x',-1,false,'5m','']"},
        {"node.k8s.io", "runtimeclasses", OBJ("'handler':'kata'"), "['x','kata','5m']"},
        {"apiregistration.k8s.io", "apiservices", OBJ("'spec':{},'status':{" COND("Available", "True") "}"),
         "['x','Local','True','5m']"},
        {"apiregistration.k8s.io", "apiservices",
         OBJ("'spec':{'service':{'namespace':'kube-system','name':'metrics'}},'status':{'conditions':[{'type':"
             "'Available','status':'False','reason':'MissingEndpoints'}]}"),
         "['x','kube-system/metrics','False (MissingEndpoints)','5m']"},
        {RBAC, "roles", OBJ("'rules':[]"), "['x','" T "']"},
        {"", "limitranges", "{'metadata':{'name':'x'}}", "['x',null]"},

        EVENT("'involvedObject':{'kind':'Pod','name':'web'},'source':{'component':'kubelet','host':'n1'},'message':"
              "' Started \\n','firstTimestamp':'" T "','lastTimestamp':'2025-12-31T23:59:00Z','count':4",
              "60s", "pod/web", "kubelet, n1", "Started", "5m", "4"),
        EVENT("'involvedObject':{'kind':'Node'},'source':{'component':'c'},'message':'m','firstTimestamp':'" T "'",
              "5m", "node", "c", "m", "5m", "1"),
        EVENT("'involvedObject':{'kind':'Pod','name':'p'},'reportingComponent':'s','reportingInstance':'s-1','message':"
              "'m','eventTime':'" T "'",
              "5m", "pod/p", "s, s-1", "m", "5m", "1"),
        EVENT("'involvedObject':{'kind':'Pod','name':'p'},'message':'m','eventTime':'" T "','series':{'count':7,"
              "'lastObservedTime':'2025-12-31T23:59:50.000000Z'}",
              "10s", "pod/p", "", "m", "5m", "7"),
        EVENT("'involvedObject':{'kind':'Pod','name':'p'},'message':'m','firstTimestamp':null,'lastTimestamp':null",
              "<unknown>", "pod/p", "", "m", "<unknown>", "1"),
        {"events.k8s.io", "events",
         OBJ("'type':'Warning','reason':'R','regarding':{'kind':'Pod','name':'p','fieldPath':'spec.containers{a}'},"
             "'note':'m','deprecatedSource':{'component':'kubelet'},'deprecatedFirstTimestamp':'" T
             "','deprecatedLastTimestamp':'2025-12-31T23:59:50Z','deprecatedCount':2"),
         "['10s','Warning','R','pod/p','spec.containers{a}','kubelet','m','5m',2,'x']"},

        HPA("", "", "<none>"),
        HPA(CPU, "", "cpu: <unknown>/80%"),
        HPA(CPU, CPU_NOW("10"), "cpu: 10%/80%"),
        HPA("{'type':'Resource','resource':{'name':'memory','target':{'averageValue':'100Mi'}}}",
            "{'type':'Resource','resource':{'name':'memory','current':{'averageValue':'50Mi'}}}", "memory: 50Mi/100Mi"),
        HPA("{'type':'Resource','resource':{'name':'cpu','target':{}}}", "", "cpu: <unknown>/<auto>"),
        HPA("{'type':'ContainerResource','containerResource':{'name':'cpu','container':'a','target':{"
            "'averageUtilization':50}}}",
            "{'type':'ContainerResource','containerResource':{'name':'cpu','current':{'averageUtilization':20}}}",
            "cpu: 20%/50%"),
        HPA("{'type':'Pods','pods':{'target':{'averageValue':'1k'}}}",
            "{'type':'Pods','pods':{'current':{'averageValue':'500'}}}", "500/1k"),
        HPA("{'type':'Object','object':{'target':{'value':'10'}}}",
            "{'type':'Object','object':{'current':{'value':'3'}}}", "3/10"),
        HPA("{'type':'Object','object':{'target':{'averageValue':'10'}}}", "", "<unknown>/10 (avg)"),
        HPA("{'type':'External','external':{'target':{'averageValue':'30'}}}",
            "{'type':'External','external':{'current':{'averageValue':'20'}}}", "20/30 (avg)"),
        HPA("{'type':'External','external':{'target':{'value':'30'}}}", "", "<unknown>/30"),
        HPA("{'type':'Magic'}", "", "<unknown type>"),
        HPA(CPU "," CPU "," CPU "," CPU, CPU_NOW("1"), "cpu: 1%/80%, cpu: <unknown>/80% + 2 more..."),
        {"autoscaling", "horizontalpodautoscalers",
         OBJ("'apiVersion':'autoscaling/v1','kind':'HorizontalPodAutoscaler','spec':{'scaleTargetRef':{'kind':"
             "'Deployment','name':'web'},'minReplicas':2,'maxReplicas':5,'targetCPUUtilizationPercentage':60},'status':"
             "{"
             "'currentReplicas':2,'desiredReplicas':2,'currentCPUUtilizationPercentage':30}"),
         "['x','Deployment/web','cpu: 30%/60%','2',5,2,'5m']"},

        {RBAC, "rolebindings",
         OBJ("'roleRef':{'kind':'ClusterRole','name':'admin'},'subjects':[{'kind':'User','name':'u1'},{'kind':'Group',"
             "'name':'g'},{'kind':'ServiceAccount','name':'sa','namespace':'ns'},{'kind':'User','name':'u2'},{'kind':"
             "'ServiceAccount','name':'bare'}]"),
         "['x','ClusterRole/admin','5m','u1, u2','g','ns/sa, bare']"},
        {RBAC, "clusterrolebindings", OBJ("'roleRef':{'kind':'ClusterRole','name':'view'}"),
         "['x','ClusterRole/view','5m','','','']"},
        CSR("'signerName':'s.io/c','username':'jane','expirationSeconds':3600", "", "s.io/c", "jane", "60m", "Pending"),
        CSR("'username':'jane'", COND("Approved", "True"), "<none>", "jane", "<none>", "Approved"),
        CSR("'username':'jane'", COND("Approved", "True") ",'certificate':'eA=='", "<none>", "jane", "<none>",
            "Approved,Issued"),
        CSR("'username':'jane'", COND("Denied", "True"), "<none>", "jane", "<none>", "Denied"),
        CSR("'username':'jane'", "'conditions':[{'type':'Approved'},{'type':'Failed'}]", "<none>", "jane", "<none>",
            "Approved,Failed"),

        {ADMIT, "mutatingwebhookconfigurations", OBJ("'webhooks':[{},{}]"), "['x',2,'5m']"},
        {ADMIT, "validatingwebhookconfigurations", OBJ("'webhooks':[]"), "['x',0,'5m']"},
        {ADMIT, "validatingadmissionpolicies",
         OBJ("'spec':{'validations':[{}],'paramKind':{'apiVersion':'v1','kind':'ConfigMap'}}"),
         "['x',1,'v1/ConfigMap','5m']"},
        {ADMIT, "mutatingadmissionpolicies", OBJ("'spec':{'mutations':[{},{}]}"), "['x',2,'<unset>','5m']"},
        {ADMIT, "validatingadmissionpolicybindings", OBJ("'spec':{'policyName':'p'}"), "['x','p','<unset>','5m']"},
        {ADMIT, "validatingadmissionpolicybindings", OBJ("'spec':{'policyName':'p','paramRef':{'name':'n'}}"),
         "['x','p','*/n','5m']"},
        {ADMIT, "mutatingadmissionpolicybindings",
         OBJ("'spec':{'policyName':'p','paramRef':{'name':'n','namespace':'ns'}}"), "['x','p','ns/n','5m']"},
        {ADMIT, "mutatingadmissionpolicybindings",
         OBJ("'spec':{'policyName':'p','paramRef':{'selector':{'matchLabels':{'a':'b'}}}}"), "['x','p','a=b','5m']"},

        PV("'spec':{'capacity':{'storage':'5Gi'},'accessModes':['ReadWriteMany','ReadWriteOnce'],"
           "'persistentVolumeReclaimPolicy':'Retain','claimRef':{'namespace':'ns','name':'c'},'storageClassName':'fast'"
           ","
           "'volumeMode':'Filesystem'},'status':{'phase':'Bound'}",
           "'5Gi','RWO,RWX','Retain','Bound','ns/c','fast','<unset>','','5m','Filesystem'"),
        PV("'spec':{'accessModes':['ReadWriteOncePod','ReadOnlyMany'],'volumeAttributesClassName':'gold'},'status':{"
           "'phase':'Failed','reason':'Broken'}",
           "'0','ROX,RWOP','','Failed','','','gold','Broken','5m','<unset>'"),
        {"", "persistentvolumes",
         "{'metadata':{" NAME ",'deletionTimestamp':'" T
         "','annotations':{'volume.beta.kubernetes.io/storage-class':'old'}},'spec':{},'status':{'phase':'Released'}}",
         "['x','0','','','Terminating','','old','<unset>','','5m','<unset>']"},
        PVC("'spec':{'storageClassName':'fast','volumeMode':'Block'},'status':{'phase':'Pending','capacity':{'storage':"
            "'1Gi'}}",
            "'Pending','','','','fast','<unset>','5m','Block'"),
        PVC("'spec':{'volumeName':'pv1','storageClassName':'fast'},'status':{'phase':'Bound','capacity':{'storage':'"
            "1Gi'"
            "},'accessModes':['ReadWriteOnce']}",
            "'Bound','pv1','1Gi','RWO','fast','<unset>','5m','<unset>'"),
        PVC("'spec':{'volumeName':'pv1'},'status':{'phase':'Lost'}", "'Lost','pv1','0','','','<unset>','5m','<unset>'"),
        {"", "persistentvolumeclaims", GONE("'spec':{},'status':{'phase':'Bound'}"),
         "['x','Terminating','','','','','<unset>','5m','<unset>']"},
        {STORE, "storageclasses",
         "{'metadata':{" NAME
         ",'annotations':{'storageclass.kubernetes.io/is-default-class':'true'}},'provisioner':'p'}",
         "['x (default)','p','Delete','Immediate',false,'5m']"},
        {STORE, "storageclasses",
         "{'metadata':{" NAME
         ",'annotations':{'storageclass.kubernetes.io/is-default-class':'false'}},'provisioner':'p'"
         ",'reclaimPolicy':'Retain','volumeBindingMode':'WaitForFirstConsumer','allowVolumeExpansion':true}",
         "['x','p','Retain','WaitForFirstConsumer',true,'5m']"},
        {STORE, "storageclasses",
         "{'metadata':{" NAME ",'annotations':{'storageclass.beta.kubernetes.io/is-default-class':'true'}},"
         "'provisioner':'p'}",
         "['x (default)','p','Delete','Immediate',false,'5m']"},
        {STORE, "volumeattributesclasses",
         "{'metadata':{" NAME ",'annotations':{'volumeattributesclass.kubernetes.io/is-default-class':'true'}},"
         "'driverName':'d'}",
         "['x (default)','d','5m']"},
        {STORE, "volumeattachments",
         OBJ("'spec':{'attacher':'csi','nodeName':'n1','source':{'persistentVolumeName':'pv1'}},'status':{'attached':"
             "true}"),
         "['x','csi','pv1','n1',true,'5m']"},
        {STORE, "volumeattachments", OBJ("'spec':{'attacher':'csi','nodeName':'n1','source':{}}"),
         "['x','csi','','n1',false,'5m']"},
        {STORE, "csinodes", OBJ("'spec':{'drivers':[{},{}]}"), "['x',2,'5m']"},
        {STORE, "csidrivers", OBJ("'spec':{}"), "['x',true,false,false,'<unset>',false,'<none>','5m']"},
        {STORE, "csidrivers",
         OBJ("'spec':{'attachRequired':false,'podInfoOnMount':true,'storageCapacity':true,'requiresRepublish':true,"
             "'tokenRequests':[{'audience':'a'},{'audience':'b'}],'volumeLifecycleModes':['Persistent','Ephemeral']}"),
         "['x',false,true,true,'a,b',true,'Persistent,Ephemeral','5m']"},
        {STORE, "csistoragecapacities", OBJ("'storageClassName':'fast','capacity':'10Gi'"), "['x','fast','10Gi']"},
        {STORE, "csistoragecapacities", OBJ("'storageClassName':'fast'"), "['x','fast','<unset>']"},
};

const size_t table_row_ncases = sizeof(table_row_cases) / sizeof(table_row_cases[0]);
