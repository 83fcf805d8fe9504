import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import roster.ApiClient;
import roster.ApiException;
import roster.ApiResponse;
import roster.api.AuthApi;
import roster.api.MembersApi;
import roster.api.TeamsApi;
import roster.api.UsersApi;
import roster.model.BaseUser;
import roster.model.CurrentPasswordOperation;
import roster.model.GrantType;
import roster.model.Introspection;
import roster.model.MemberCreate;
import roster.model.NameOperation;
import roster.model.PatchOp;
import roster.model.Problem;
import roster.model.Team;
import roster.model.TeamCreate;
import roster.model.Member;
import roster.model.TokenResponse;
import roster.model.User;
import roster.model.UserOperation;

/** What a program does with the Java client; each step prints one line of JSON. */
public final class Story {
    private static final List<String> NO_CURSOR = Collections.singletonList(null);
    private static final ObjectMapper JSON = ApiClient.createDefaultObjectMapper();

    private Story() {}

    private interface Call {
        void make() throws ApiException;
    }

    private static void show(String step, Map<String, ?> values) throws Exception {
        Map<String, Object> line = new LinkedHashMap<>(values);
        line.put("step", step);
        System.out.println(JSON.writeValueAsString(line));
    }

    /** Returns the problem that the server tells in place of an answer. */
    private static Problem refusal(Call call) throws Exception {
        try {
            call.make();
        } catch (ApiException error) {
            return JSON.readValue(error.getResponseBody(), Problem.class);
        }
        throw new IllegalStateException("An error was expected.");
    }

    private static ApiClient anonymous(String url) {
        ApiClient client = new ApiClient();
        client.updateBaseUri(url);
        return client;
    }

    private static ApiClient signedIn(String url, TokenResponse tokens) {
        String header = "Bearer " + tokens.getAccessToken();
        return anonymous(url).setRequestInterceptor(request -> request.header("Authorization", header));
    }

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        String secret = arguments[1];
        AuthApi auth = new AuthApi(anonymous(url));

        TokenResponse first = auth.issueToken(AuthApi.APIIssueTokenRequest.newBuilder()
                .grantType(GrantType.PASSWORD).clientId("documentation").username("root").password("q").build());
        show("log in", Map.of("token_type", first.getTokenType()));

        Thread.sleep((first.getExpiresIn() + 1) * 1000L);
        Problem ended = refusal(() -> new UsersApi(signedIn(url, first)).readMe((String) null));
        show("use a token that has ended", Map.of("status", ended.getStatus(), "title", ended.getTitle()));

        TokenResponse second = auth.issueToken(AuthApi.APIIssueTokenRequest.newBuilder()
                .grantType(GrantType.REFRESH_TOKEN).clientId("documentation").refreshToken(first.getRefreshToken()).build());
        show("refresh", Map.of("is_new", !second.getAccessToken().equals(first.getAccessToken())));
        ApiClient client = signedIn(url, second);
        UsersApi userApi = new UsersApi(client);
        TeamsApi teamApi = new TeamsApi(client);
        MembersApi memberApi = new MembersApi(client);

        User me = userApi.readMe((String) null);
        show("read oneself", Map.of("username", me.getUsername(), "is_admin", me.getIsAdmin()));

        List<BaseUser> users = new ArrayList<>();
        int pages = 0;
        for (String cursor = ""; cursor != null; pages++) {
            ApiResponse<List<BaseUser>> page = userApi.listUsersWithHttpInfo(
                    UsersApi.APIListUsersRequest.newBuilder().limit(100).cursor(cursor).build());
            users.addAll(page.getData());
            cursor = page.getHeaders().getOrDefault("x-next-cursor", NO_CURSOR).get(0);
        }
        BaseUser last = users.get(users.size() - 1);
        show("page through the users", Map.of("users", users.size(), "pages", pages, "last", last.getUsername()));

        TeamsApi.APICreateTeamRequest creation = TeamsApi.APICreateTeamRequest.newBuilder()
                .idempotencyKey(UUID.randomUUID().toString())
                .teamCreate(new TeamCreate().title("Analysts")).build();
        Team team = teamApi.createTeam(creation);
        show("create a team", Map.of(
                "title", team.getTitle(), "leader", team.getMembers().get(0).getUser().getUsername()));
        show("send that again", Map.of("is_the_same", teamApi.createTeam(creation).equals(team)));

        MembersApi.APIAddMemberRequest add = MembersApi.APIAddMemberRequest.newBuilder()
                .teamId(team.getId()).memberCreate(new MemberCreate().userId(last.getId())).build();
        Member member = memberApi.addMember(add);
        show("add a member", Map.of("username", member.getUser().getUsername(), "is_leader", member.getIsLeader()));

        Problem conflict = refusal(() -> memberApi.addMember(add));
        show("add it again", Map.of("status", conflict.getStatus(), "title", conflict.getTitle()));

        User changed = userApi.changeUser(UsersApi.APIChangeUserRequest.newBuilder()
                .userId(me.getId())
                .userOperation(List.of(
                        new UserOperation(new CurrentPasswordOperation()
                                .op(CurrentPasswordOperation.OpEnum.TEST)
                                .path(CurrentPasswordOperation.PathEnum.CURRENT_PASSWORD)
                                .value("q")),
                        new UserOperation(new NameOperation()
                                .op(PatchOp.REPLACE)
                                .path(NameOperation.PathEnum.FIRST_NAME)
                                .value("Ada"))))
                .build());
        show("change oneself", Map.of("first_name", changed.getFirstName()));

        Introspection alive = introspect(auth, secret, second.getAccessToken());
        show("introspect a live token", Map.of("active", alive.getActive(), "username", alive.getUsername()));
        Introspection dead = introspect(auth, secret, first.getAccessToken());
        show("introspect a dead token", Map.of("active", dead.getActive()));

        ApiResponse<Void> deleted = teamApi.deleteTeamWithHttpInfo(
                TeamsApi.APIDeleteTeamRequest.newBuilder().teamId(team.getId()).build());
        show("delete the team", Map.of("status", deleted.getStatusCode()));

        Problem gone = refusal(() -> teamApi.readTeam(
                TeamsApi.APIReadTeamRequest.newBuilder().teamId(team.getId()).build()));
        show("read what is gone", Map.of("status", gone.getStatus(), "title", gone.getTitle()));
    }

    private static Introspection introspect(AuthApi auth, String secret, String token) throws ApiException {
        return auth.introspectToken(AuthApi.APIIntrospectTokenRequest.newBuilder()
                .token(token).clientId("documentation").clientSecret(secret).build());
    }
}
