package manifests

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The fields of KEDA's v1alpha1 types that the manifests use. KEDA's own package
// would bring the Kubernetes client and controller-runtime along, five hundred
// packages that cost more than a minute to compile; a test holds these to its source.
type (
	// ScaledObject scales a Deployment by triggers.
	ScaledObject struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`

		Spec ScaledObjectSpec `json:"spec"`
	}

	// ScaledObjectSpec says what is scaled, between which bounds and by what.
	ScaledObjectSpec struct {
		ScaleTargetRef  *ScaleTarget    `json:"scaleTargetRef"`
		PollingInterval *int32          `json:"pollingInterval,omitempty"`
		CooldownPeriod  *int32          `json:"cooldownPeriod,omitempty"`
		MinReplicaCount *int32          `json:"minReplicaCount,omitempty"`
		MaxReplicaCount *int32          `json:"maxReplicaCount,omitempty"`
		Advanced        *AdvancedConfig `json:"advanced,omitempty"`
		Triggers        []ScaleTriggers `json:"triggers"`
		Fallback        *Fallback       `json:"fallback,omitempty"`
	}

	// ScaleTarget is what is scaled.
	ScaleTarget struct {
		Name string `json:"name"`
	}

	// AdvancedConfig holds the pace.
	AdvancedConfig struct {
		HorizontalPodAutoscalerConfig *HorizontalPodAutoscalerConfig `json:"horizontalPodAutoscalerConfig,omitempty"`
	}

	// HorizontalPodAutoscalerConfig is handed to the autoscaler that KEDA makes.
	HorizontalPodAutoscalerConfig struct {
		Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`
	}

	// ScaleTriggers is one measure of load.
	ScaleTriggers struct {
		Type              string             `json:"type"`
		Name              string             `json:"name,omitempty"`
		Metadata          map[string]string  `json:"metadata"`
		AuthenticationRef *AuthenticationRef `json:"authenticationRef,omitempty"`
	}

	// AuthenticationRef names a TriggerAuthentication.
	AuthenticationRef struct {
		Name string `json:"name"`
	}

	// Fallback is for the time in which a trigger cannot be read.
	Fallback struct {
		FailureThreshold int32  `json:"failureThreshold"`
		Replicas         int32  `json:"replicas"`
		Behavior         string `json:"behavior,omitempty"`
	}

	// TriggerAuthentication gives triggers what is secret.
	TriggerAuthentication struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`

		Spec TriggerAuthenticationSpec `json:"spec"`
	}

	// TriggerAuthenticationSpec lists parameters.
	TriggerAuthenticationSpec struct {
		SecretTargetRef []AuthTargetRef `json:"secretTargetRef,omitempty"`
	}

	// AuthTargetRef takes a parameter from a Secret's key.
	AuthTargetRef struct {
		Parameter string `json:"parameter"`
		Name      string `json:"name"`
		Key       string `json:"key"`
	}
)
