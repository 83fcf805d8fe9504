// What a program does with the Go client; each step prints one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	roster "example.org/roster/roster-go"
	"golang.org/x/oauth2"
)

type values map[string]any

func show(step string, of values) {
	of["step"] = step
	line, err := json.Marshal(of)
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// refusal returns the problem that the server tells in place of an answer.
func refusal(err error) roster.Problem {
	var failure *roster.GenericOpenAPIError
	if !errors.As(err, &failure) {
		log.Fatal("an error was expected: ", err)
	}
	return failure.Model().(roster.Problem)
}

func signedIn(tokens *roster.TokenResponse) context.Context {
	source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: tokens.AccessToken})
	return context.WithValue(context.Background(), roster.ContextOAuth2, source)
}

func main() {
	server, secret := os.Args[1], os.Args[2]
	configuration := roster.NewConfiguration()
	configuration.Servers = roster.ServerConfigurations{{URL: server}}
	client := roster.NewAPIClient(configuration)
	anonymous := context.Background()

	introspect := func(token string) *roster.Introspection {
		answer, _, err := client.AuthAPI.IntrospectToken(anonymous).
			Token(token).ClientId("documentation").ClientSecret(secret).Execute()
		check(err)
		return answer
	}

	first, _, err := client.AuthAPI.IssueToken(anonymous).
		GrantType("password").ClientId("documentation").Username("root").Password("q").Execute()
	check(err)
	show("log in", values{"token_type": first.TokenType})

	time.Sleep(time.Duration(first.ExpiresIn+1) * time.Second)
	_, _, err = client.UsersAPI.ReadMe(signedIn(first)).Execute()
	problem := refusal(err)
	show("use a token that has ended", values{"status": problem.Status, "title": problem.Title})

	second, _, err := client.AuthAPI.IssueToken(anonymous).
		GrantType("refresh_token").ClientId("documentation").RefreshToken(first.GetRefreshToken()).Execute()
	check(err)
	show("refresh", values{"is_new": second.AccessToken != first.AccessToken})
	user := signedIn(second)

	me, _, err := client.UsersAPI.ReadMe(user).Execute()
	check(err)
	show("read oneself", values{"username": me.Username, "is_admin": me.IsAdmin})

	var users []roster.BaseUser
	pages := 0
	for cursor, hasNext := "", true; hasNext; pages++ {
		page, answer, err := client.UsersAPI.ListUsers(user).Limit(100).Cursor(cursor).Execute()
		check(err)
		users = append(users, page...)
		cursor = answer.Header.Get("X-Next-Cursor")
		hasNext = cursor != ""
	}
	last := users[len(users)-1]
	show("page through the users", values{"users": len(users), "pages": pages, "last": last.Username})

	creation := client.TeamsAPI.CreateTeam(user).IdempotencyKey(fmt.Sprint("story-", time.Now().UnixNano()))
	creation = creation.TeamCreate(*roster.NewTeamCreate("Analysts"))
	team, _, err := creation.Execute()
	check(err)
	show("create a team", values{"title": team.Title, "leader": team.Members[0].User.Username})
	again, _, err := creation.Execute()
	check(err)
	show("send that again", values{"is_the_same": again.Id == team.Id})

	add := client.MembersAPI.AddMember(user, team.Id).MemberCreate(*roster.NewMemberCreate(last.Id))
	member, _, err := add.Execute()
	check(err)
	show("add a member", values{"username": member.User.Username, "is_leader": member.IsLeader})

	_, _, err = add.Execute()
	problem = refusal(err)
	show("add it again", values{"status": problem.Status, "title": problem.Title})

	changed, _, err := client.UsersAPI.ChangeUser(user, me.Id).UserOperation([]roster.UserOperation{
		roster.CurrentPasswordOperationAsUserOperation(
			roster.NewCurrentPasswordOperation("test", "/current_password", "q")),
		roster.NameOperationAsUserOperation(
			roster.NewNameOperation("replace", "/first_name", "Ada")),
	}).Execute()
	check(err)
	show("change oneself", values{"first_name": changed.FirstName})

	alive := introspect(second.AccessToken)
	show("introspect a live token", values{"active": alive.Active, "username": alive.GetUsername()})
	show("introspect a dead token", values{"active": introspect(first.AccessToken).Active})

	deleted, err := client.TeamsAPI.DeleteTeam(user, team.Id).Execute()
	check(err)
	show("delete the team", values{"status": deleted.StatusCode})

	_, _, err = client.TeamsAPI.ReadTeam(user, team.Id).Execute()
	problem = refusal(err)
	show("read what is gone", values{"status": problem.Status, "title": problem.Title})
}
