package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// dynamoStore compares in a condition expression, which DynamoDB evaluates as it writes the item.
type dynamoStore struct{ client *dynamodb.Client }

// newDynamoStore takes the table from an endpoint, and makes it if it is not there.
func newDynamoStore(ctx context.Context, endpoint string) (dynamoStore, error) {
	s := dynamoStore{dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String(endpoint),
		Region:       "us-east-1",
		Credentials:  aws.CredentialsProviderFunc(anybody),
		// An attempt whose answer is lost may have written the item. The SDK's own next attempt would be refused then, and
		// a deposit that was made would be taken for a stale one and made again.
		Retryer: aws.NopRetryer{},
	})}
	_, err := s.client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:            aws.String(table),
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		BillingMode:          types.BillingModePayPerRequest,
	})
	var exists *types.ResourceInUseException
	if err != nil && !errors.As(err, &exists) {
		return s, err
	}
	return s, s.waitForTable(ctx)
}

// anybody are the credentials that a server on this machine takes.
func anybody(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "anybody", SecretAccessKey: "anything"}, nil
}

func (s dynamoStore) waitForTable(ctx context.Context) error {
	waiter := dynamodb.NewTableExistsWaiter(s.client)
	return waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(table)}, startTimeout)
}

func (s dynamoStore) Load(ctx context.Context, id string) (w Wallet, err error) {
	found, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      aws.String(table),
		Key:            map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}},
		ConsistentRead: aws.Bool(true), // an older item would be refused when it is saved
	})
	if err != nil {
		return w, err
	}
	if found.Item == nil {
		return w, fmt.Errorf("there is no wallet %q", id)
	}
	return w, attributevalue.UnmarshalMap(found.Item, &w)
}

func (s dynamoStore) Save(ctx context.Context, w *Wallet) error {
	next := *w
	next.Version++ //occvet:ignore DynamoDB counts no versions, so this store does
	item, err := attributevalue.MarshalMap(next)
	if err != nil {
		return err
	}
	_, err = s.client.PutItem(ctx, s.compared(&dynamodb.PutItemInput{TableName: aws.String(table), Item: item}, w))
	var refused *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("%w: %w", ErrStale, err)
	case err == nil:
		*w = next
	}
	return err
}

// compared adds the condition that the item is still at the version that was read, or not there where none was.
func (s dynamoStore) compared(put *dynamodb.PutItemInput, w *Wallet) *dynamodb.PutItemInput {
	if w.Version == 0 {
		put.ConditionExpression = aws.String("attribute_not_exists(id)")
		return put
	}
	put.ConditionExpression = aws.String("#version = :read")
	put.ExpressionAttributeNames = map[string]string{"#version": "version"}
	put.ExpressionAttributeValues = map[string]types.AttributeValue{
		":read": &types.AttributeValueMemberN{Value: fmt.Sprint(int64(w.Version))},
	}
	return put
}
